import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { from, lastValueFrom, toArray } from 'rxjs';
import { inferenceRequest, type InferenceApi } from '../inference-request.js';
import type { JsonObject } from '../json.js';
import { bytesPart, jsonPart, type ResponsePart } from '../response-part.js';
import { sseEvent } from '../sse.js';
import { asBuffer, eventData, eventsIn, parseData } from './events.js';
import { joinAnswer } from './join-answer.js';
import type { PrefillShare } from './prefill-share.js';

const DONE = Buffer.from('data: [DONE]\n\n');
const PING = Buffer.from(': ping\n\n');
const USAGE = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11, prompt_tokens_details: { cached_tokens: 9 } };
const OF_P = { prompt_tokens: 8, completion_tokens: 1, total_tokens: 9, prompt_tokens_details: { cached_tokens: 3 } };

function run(
  api: InferenceApi,
  stream: boolean,
  share: PrefillShare,
  parts: readonly ResponsePart[],
): Promise<ResponsePart[]> {
  return lastValueFrom(from(parts).pipe(joinAnswer(inferenceRequest(api, { stream }), share), toArray()));
}

async function whole(api: InferenceApi, share: PrefillShare, answer: JsonObject): Promise<JsonObject> {
  const [part] = await run(api, false, share, [jsonPart(answer)]);
  if (part?.kind !== 'json') throw new Error('no JSON part');
  return part.body;
}

const bytesOf = (parts: readonly ResponsePart[]): Buffer =>
  Buffer.concat(parts.map((part) => (part.kind === 'bytes' ? part.bytes : Buffer.from('a JSON part'))));

const read = (bytes: Buffer): unknown[] =>
  eventsIn(bytes).map((event) => parseData(eventData(event) ?? '') ?? event.toString().trim());

async function stream(
  api: InferenceApi,
  share: PrefillShare,
  events: readonly (JsonObject | Buffer)[],
): Promise<unknown[]> {
  const parts = events.map((event) => bytesPart(Buffer.isBuffer(event) ? event : sseEvent(event)));
  return read(bytesOf(await run(api, true, share, parts)));
}

const HEAD = { id: 'cmpl-1', object: 'text_completion', created: 7, model: 'm' };
const CHAT = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 7, model: 'm' };
const text = (value: string, finish_reason: string | null = null, more: object = {}): JsonObject => ({
  ...HEAD,
  choices: [{ index: 0, text: value, logprobs: null, finish_reason, ...more }],
  usage: null,
});
const chat = (delta: object, finish_reason: string | null = null): JsonObject => ({
  ...CHAT,
  choices: [{ index: 0, delta, logprobs: null, finish_reason }],
});
const tokens = (token_ids: number[], finish_reason: string | null = null): JsonObject => ({
  request_id: 'generate-tokens-1',
  choices: [{ index: 0, token_ids, finish_reason, logprobs: null }],
});

describe('joinAnswer without a share', () => {
  it.each([true, false])('passes the very parts on when stream is %s', async (stream) => {
    const parts = [text('a', 'stop'), { ...HEAD, choices: [], usage: USAGE }].map((event) =>
      bytesPart(sseEvent(event)),
    );
    const joined = await run('completions', stream, {}, parts);
    expect(joined).toHaveLength(2);
    joined.forEach((part, index) => expect(part).toBe(parts[index]));
  });

  it('passes a JSON part on, and takes handoffs out of it', async () => {
    const answer = { ...HEAD, choices: [{ index: 0, text: 'a' }] };
    expect(await whole('completions', {}, answer)).toBe(answer);
    const choice = { index: 0, text: 'a', disaggregated_params: { ctx_request_id: 1 } };
    expect(await whole('completions', {}, { ...answer, choices: [choice], kv_transfer_params: {} })).toEqual(answer);
  });

  it('takes handoffs out of bytes, also when they come in two', async () => {
    const bytes = Buffer.from(
      JSON.stringify({ choices: [], kv_transfer_params: { remote_host: '10.0.0.7' }, seed: 1 }),
    );
    for (const parts of [[bytes], [bytes.subarray(0, 20), bytes.subarray(20)]]) {
      expect(await run('chat', false, {}, parts.map(bytesPart))).toEqual([jsonPart({ choices: [], seed: 1 })]);
    }
  });

  it('takes handoffs out of streams, and leaves the other events of the chunk as they are', async () => {
    const event = { ...chat({}, 'stop'), room: 9223372036854775807n };
    const first = Buffer.from('data:  {"choices": [] }\r\n\r\n');
    const chunk = Buffer.concat([first, sseEvent({ ...event, kv_transfer_params: { remote_port: 1 } }), PING, DONE]);
    const joined = await run('chat', true, {}, [bytesPart(chunk)]);
    expect(String(bytesOf(joined))).toBe(String(Buffer.concat([first, sseEvent(event), PING, DONE])));
  });

  it.each(['data: {"kv_transfer_params":1\n\n', 'event: x\n\ndata: "kv_transfer_params"\n\n'])(
    'lets nothing through that may hold a handoff and cannot be read: %j',
    async (text) => {
      const error = { status: 502, code: 'bad_upstream_answer' };
      for (const stream of [true, false]) {
        await expect(run('chat', stream, {}, [bytesPart(Buffer.from(text))])).rejects.toMatchObject(error);
      }
    },
  );

  it('emits nothing when nothing came', async () => {
    expect(await run('chat', false, { usage: OF_P }, []).catch((error: { code: string }) => error.code)).toBe(
      'bad_upstream_answer',
    );
    expect(await run('chat', false, {}, [])).toEqual([]);
  });
});

describe('joinAnswer counts', () => {
  it.each<[string, PrefillShare, unknown]>([
    [
      'the prompt as P did',
      { usage: OF_P },
      { ...USAGE, prompt_tokens: 8, total_tokens: 10, prompt_tokens_details: { cached_tokens: 3 } },
    ],
    [
      'no cached tokens when P told none',
      { usage: { prompt_tokens: 8 } },
      { prompt_tokens: 8, completion_tokens: 2, total_tokens: 10 },
    ],
    ['a first token of P’s', { lead: { completionTokens: 1 } }, { ...USAGE, completion_tokens: 3, total_tokens: 12 }],
    ['both', { usage: OF_P, lead: { completionTokens: 1 } }, { ...OF_P, completion_tokens: 3, total_tokens: 11 }],
    ['what D did when P told nothing', { usage: {} }, { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 }],
    ['as D did', {}, USAGE],
  ])('%s', async (_what, share, usage) => {
    expect(await whole('chat', share, { choices: [], usage: USAGE })).toEqual({ choices: [], usage });
    const events = [text('a', 'stop'), { ...HEAD, choices: [], usage: USAGE }, DONE];
    expect(await stream('completions', share, events)).toEqual([
      events[0],
      { ...HEAD, choices: [], usage },
      'data: [DONE]',
    ]);
  });

  it('nothing into an answer without usage', async () => {
    expect(await whole('chat', { usage: OF_P }, { choices: [], usage: null })).toEqual({ choices: [], usage: null });
  });
});

describe('joinAnswer puts P’s prompt logprobs', () => {
  const promptLogprobs = [null, { 5: { logprob: -1, rank: 1 } }];

  it('into the choice of completions', async () => {
    const answer = text('a', 'stop');
    const [choice] = answer['choices'] as JsonObject[];
    const joined = { ...answer, choices: [{ ...choice, prompt_logprobs: promptLogprobs }] };
    expect(await whole('completions', { promptLogprobs }, answer)).toEqual(joined);
    expect(await stream('completions', { promptLogprobs }, [answer, DONE])).toEqual([joined, 'data: [DONE]']);
  });

  it.each(['chat', 'generate'] as const)('into the answer of %s', async (api) => {
    const answer = tokens([1], 'stop');
    const joined = { ...answer, prompt_logprobs: promptLogprobs };
    expect(await whole(api, { promptLogprobs }, answer)).toEqual(joined);
    const second = tokens([2]);
    expect(await stream(api, { promptLogprobs }, [PING, answer, second])).toEqual([': ping', joined, second]);
  });
});

describe('joinAnswer puts the lead of completions', () => {
  const logprobs = (word: string, offset: number): JsonObject => ({
    tokens: [word],
    token_logprobs: [-1],
    top_logprobs: [{ [word]: -1 }],
    text_offset: [offset],
  });
  const joinedLogprobs = {
    tokens: ['🦉 ', 'owl'],
    token_logprobs: [-1, -1],
    top_logprobs: [{ '🦉 ': -1 }, { owl: -1 }],
    text_offset: [0, 2],
  };
  const lead = { text: '🦉 ', logprobs: logprobs('🦉 ', 0), completionTokens: 0 };

  it('before the text and the log probabilities of a whole answer', async () => {
    const answer = text('owl', 'stop', { logprobs: logprobs('owl', 0), stop_reason: null });
    expect(await whole('completions', { lead }, answer)).toEqual(
      text('🦉 owl', 'stop', { logprobs: joinedLogprobs, stop_reason: null }),
    );
  });

  it('before the first event of a stream, and moves the offsets of every event', async () => {
    const events = [
      text('owl', null, { logprobs: logprobs('owl', 0) }),
      text('s', 'stop', { logprobs: logprobs('s', 3) }),
      DONE,
    ];
    expect(await stream('completions', { lead }, [PING, ...events])).toEqual([
      ': ping',
      { ...HEAD, choices: [{ index: 0, text: '🦉 ', logprobs: logprobs('🦉 ', 0), finish_reason: null }] },
      text('owl', null, { logprobs: logprobs('owl', 2) }),
      text('s', 'stop', { logprobs: logprobs('s', 5) }),
      'data: [DONE]',
    ]);
  });

  it('once, before the choice with index 0', async () => {
    const other = { ...text('x'), choices: [{ index: 1, text: 'x', finish_reason: null }] };
    const share = { lead: { text: 'P', completionTokens: 1 } };
    const joined = await stream('completions', share, [other, text('a'), text('b')]);
    expect(joined).toEqual([
      other,
      { ...HEAD, choices: [{ index: 0, text: 'P', logprobs: null, finish_reason: null }] },
      text('a'),
      text('b'),
    ]);
  });

  it('with the token ids that the client asked for', async () => {
    const share = { lead: { text: 'P', tokenIds: [1], completionTokens: 1 } };
    expect(await whole('completions', share, text('a', 'stop', { token_ids: [2] }))).toEqual(
      text('Pa', 'stop', { token_ids: [1, 2] }),
    );
  });

  it('to all of the text: the lead and D’s, in any chunks', async () => {
    const word = fc.string({ unit: 'grapheme', maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(word, fc.array(word, { minLength: 1, maxLength: 6 }), fc.nat(), async (lead, words, cut) => {
        const events = words.map((each, index) => sseEvent(text(each, index === words.length - 1 ? 'stop' : null)));
        const at = cut % events.length;
        const chunks = [Buffer.concat(events.slice(0, at)), Buffer.concat([...events.slice(at), DONE])];
        const joined = bytesOf(
          await run('completions', true, { lead: { text: lead, completionTokens: 0 } }, chunks.map(bytesPart)),
        );
        const said = (read(joined) as JsonObject[]).flatMap(
          ({ choices }) => (choices as JsonObject[] | undefined) ?? [],
        );
        expect(said.map((choice) => choice['text']).join('')).toBe(lead + words.join(''));
        const answer = await whole(
          'completions',
          { lead: { text: lead, completionTokens: 0 } },
          text(words.join(''), 'stop'),
        );
        expect(answer).toEqual(text(lead + words.join(''), 'stop'));
      }),
    );
  });
});

describe('joinAnswer puts the lead of chat', () => {
  const lead = { text: 'Hel', logprobs: { content: [{ token: 'Hel', logprob: -1 }] }, completionTokens: 1 };
  const leadEvent = (delta: object): JsonObject => ({
    ...CHAT,
    choices: [{ index: 0, logprobs: lead.logprobs, finish_reason: null, delta }],
  });

  it('before the content and the log probabilities of a whole answer', async () => {
    const choice = { index: 0, message: { role: 'assistant', content: 'lo' }, finish_reason: 'stop' };
    const logprobs = { content: [{ token: 'lo', logprob: -2 }], refusal: null };
    const answer = await whole('chat', { lead }, { choices: [{ ...choice, logprobs }] });
    expect(answer['choices']).toEqual([
      {
        ...choice,
        message: { role: 'assistant', content: 'Hello' },
        logprobs: { content: [...lead.logprobs.content, ...logprobs.content], refusal: null },
      },
    ]);
  });

  it('in the place of content that is null', async () => {
    const choice = { index: 0, message: { role: 'assistant', content: null }, logprobs: null, finish_reason: 'stop' };
    const answer = await whole('chat', { lead }, { choices: [choice] });
    expect(answer['choices']).toMatchObject([{ message: { content: 'Hel' }, logprobs: lead.logprobs }]);
  });

  it.each<[string, JsonObject[], JsonObject[]]>([
    [
      'a role alone',
      [chat({ role: 'assistant', content: '' }), chat({ content: 'lo' }), chat({}, 'stop')],
      [
        chat({ role: 'assistant', content: '' }),
        leadEvent({ content: 'Hel' }),
        chat({ content: 'lo' }),
        chat({}, 'stop'),
      ],
    ],
    [
      'a role with the first content',
      [chat({ role: 'assistant', content: 'lo' }), chat({}, 'stop')],
      [leadEvent({ role: 'assistant', content: 'Hel' }), chat({ content: 'lo' }), chat({}, 'stop')],
    ],
    [
      'a role with the end',
      [chat({ role: 'assistant', content: '' }, 'stop')],
      [leadEvent({ role: 'assistant', content: 'Hel' }), chat({ content: '' }, 'stop')],
    ],
    ['no role', [chat({ content: 'lo' }, 'stop')], [leadEvent({ content: 'Hel' }), chat({ content: 'lo' }, 'stop')]],
  ])('behind the role, when D begins with %s', async (_what, events, joined) => {
    expect(await stream('chat', { lead }, [...events, DONE])).toEqual([...joined, 'data: [DONE]']);
  });
});

describe('joinAnswer puts the lead of generate', () => {
  const lead = { tokenIds: [1], logprobs: { content: [{ token_id: 1, logprob: -1 }] }, completionTokens: 1 };

  it('before the token ids and the log probabilities of a whole answer', async () => {
    const choice = { index: 0, token_ids: [2, 3], finish_reason: 'stop' };
    const logprobs = { content: [{ token_id: 2 }, { token_id: 3 }] };
    const answer = await whole('generate', { lead }, { choices: [{ ...choice, logprobs }], usage: USAGE });
    expect(answer).toEqual({
      choices: [
        { ...choice, token_ids: [1, 2, 3], logprobs: { content: [...lead.logprobs.content, ...logprobs.content] } },
      ],
      usage: { ...USAGE, completion_tokens: 3, total_tokens: 12 },
    });
  });

  it('before the first event of a stream', async () => {
    const first = { ...tokens([2]), prompt_token_ids: [9] };
    expect(await stream('generate', { lead }, [first, tokens([3], 'stop'), DONE])).toEqual([
      {
        request_id: 'generate-tokens-1',
        choices: [{ index: 0, token_ids: [1], finish_reason: null, logprobs: lead.logprobs }],
      },
      first,
      tokens([3], 'stop'),
      'data: [DONE]',
    ]);
  });

  it('as text as well, when that is what the client asked for', async () => {
    const choice = { index: 0, token_ids: [2], text: 'lo', logprobs: null, finish_reason: 'stop' };
    const answer = await whole(
      'generate',
      { lead: { text: 'Hel', tokenIds: [1], completionTokens: 1 } },
      { choices: [choice] },
    );
    expect(answer['choices']).toEqual([{ ...choice, token_ids: [1, 2], text: 'Hello' }]);
  });
});

describe('joinAnswer', () => {
  it('begins anew for each subscription', async () => {
    const share = { lead: { text: 'P', completionTokens: 1 } };
    const source = from([bytesPart(sseEvent(text('a')))]).pipe(
      joinAnswer(inferenceRequest('completions', { stream: true }), share),
      toArray(),
    );
    const first = bytesOf(await lastValueFrom(source));
    expect(bytesOf(await lastValueFrom(source))).toEqual(first);
    expect(read(first)).toHaveLength(2);
  });

  it('passes on parts without a change as they are, also behind a lead', async () => {
    const parts = [text('a'), text('b'), text('c', 'stop')].map((event) => bytesPart(asBuffer(sseEvent(event))));
    const joined = await run('completions', true, { lead: { text: 'P', completionTokens: 0 }, usage: OF_P }, parts);
    expect(joined[1]).toBe(parts[1]);
    expect(joined[2]).toBe(parts[2]);
  });
});
