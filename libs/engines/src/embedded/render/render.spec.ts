import { inferenceRequest, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TextApi } from '../../engine.js';
import { answerEncoder } from '../answer/encoders.js';
import type { Vocabulary } from '../llama/vocabulary.js';
import { ChatTemplate } from '../request/chat-template.js';
import { PromptReader } from '../request/prompt.js';
import { planRequest, type PlanContext } from '../request/request-plan.js';
import { ChoiceWriter, type ChoiceDelta } from '../run/choice-writer.js';
import { derender } from './derender.js';
import { MOST_PROMPTS, renderRequest } from './render-request.js';

const BEGIN = 256;
const END = 257;
const isByte = (token: number): boolean => token < 256;

/** Tokens are bytes, and a text that is spelled from its beginning loses its first space, as SentencePiece's. */
const vocabulary: Vocabulary = {
  size: 258,
  begin: BEGIN,
  beginText: '<s>',
  endText: '</s>',
  endIds: [END],
  longestTokenBytes: 4,
  isEnd: (token) => token === END,
  tokenizeText: (text) => [...Buffer.from(text)],
  tokenizeMarkup: (text) => [...Buffer.from(text)],
  detokenize: (tokens) => Buffer.from(tokens.filter(isByte)).toString().replace(/^ /, ''),
  tokenBytes: (token) => (isByte(token) ? Buffer.from([token]) : undefined),
  tokenText: (token) => (isByte(token) ? String.fromCharCode(token) : '<>'),
};

const template = new ChatTemplate(
  "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}bot:",
  '',
  '',
);

/** What plans need to know of an engine with {@link vocabulary}. */
const context: PlanContext = {
  modelName: 'm',
  contextTokens: 200,
  vocabularySize: vocabulary.size,
  prompts: new PromptReader(vocabulary, template, 200),
};

const messages = [{ role: 'user', content: 'hi' }];

describe('renderRequest', () => {
  it('gives one request of the token endpoint for a chat, with every default filled in', async () => {
    const rendered = await renderRequest('chat', { messages, model: 'm' }, context);
    const token_ids = [256, ...Buffer.from('user: hi\nbot:')];
    expect(rendered).toEqual({
      request_id: expect.stringMatching(/^chatcmpl-[0-9a-f-]{36}$/),
      token_ids,
      sampling_params: {
        n: 1,
        temperature: 1,
        top_p: 1,
        top_k: 0,
        min_p: 0,
        seed: null,
        presence_penalty: 0,
        frequency_penalty: 0,
        repetition_penalty: 1,
        logit_bias: null,
        max_tokens: 200 - token_ids.length,
        min_tokens: 0,
        stop_token_ids: [],
        ignore_eos: false,
        logprobs: null,
      },
      model: 'm',
      stream: false,
      stream_options: null,
      cache_salt: null,
      priority: 0,
    });
  });

  it('gives a list for completions, one for each prompt, whatever it is', async () => {
    const idsOf = async (prompt: unknown): Promise<unknown> => {
      const rendered = await renderRequest('completions', { prompt }, context);
      return Array.isArray(rendered) ? rendered.map((one: JsonObject) => one['token_ids']) : rendered;
    };
    expect(await idsOf('a')).toEqual([[256, 97]]);
    expect(await idsOf([5, 6])).toEqual([[5, 6]]);
    expect(await idsOf(['a', 'b'])).toEqual([
      [256, 97],
      [256, 98],
    ]);
    expect(await idsOf([[5], [6, 7]])).toEqual([[5], [6, 7]]);
  });

  it.each([
    ['chat', { messages, temperature: 0, top_logprobs: 3, logprobs: true, max_completion_tokens: 7, seed: 5, n: 2 }],
    ['chat', { messages, logit_bias: { 5: -100 }, stop_token_ids: [9], min_tokens: 2, ignore_eos: true }],
    ['completions', { prompt: 'a', top_p: 0.5, top_k: 4, min_p: 0.1, logprobs: 2, presence_penalty: 1 }],
    ['completions', { prompt: 'a', stream: true, stream_options: { include_usage: true } }],
  ] as [TextApi, JsonObject][])('asks the token endpoint for the same as %s %j', async (api, body) => {
    const direct = planRequest(inferenceRequest(api, body), context);
    const [rendered] = [await renderRequest(api, body, context)].flat();
    expect(planRequest(inferenceRequest('generate', rendered ?? {}), context)).toEqual(direct);
  });

  it('leaves out the handoff of a leg', async () => {
    const body = { prompt: 'a', stream: true, kv_transfer_params: { do_remote_decode: true } };
    expect(JSON.stringify(await renderRequest('completions', body, context))).not.toContain('kv_transfer_params');
  });

  it.each([
    ['chat', { messages, stop: ['x'] }, 'stop'],
    ['completions', { prompt: 'a', echo: true }, 'echo'],
    ['completions', { prompt: ['a', 'b'], top_p: 2 }, 'top_p'],
    ['completions', { prompt: ['a', ''] }, 'prompt'],
    ['completions', { prompt: [] }, 'prompt'],
    ['completions', { prompt: Array.from({ length: MOST_PROMPTS + 1 }, () => 'a') }, 'prompt'],
    ['completions', {}, 'prompt'],
    ['chat', { messages, model: 'other' }, 'model'],
  ] as [TextApi, JsonObject, string][])('refuses %s %j', async (api, body, param) => {
    await expect(renderRequest(api, body, context)).rejects.toMatchObject({ param });
  });
});

const PROMPTS: Readonly<Record<TextApi, JsonObject>> = {
  chat: { messages: [{ role: 'user', content: 'hi' }] },
  completions: { prompt: 'a' },
};

/** What the engine answers when it samples these tokens: each delta as it would be streamed. */
function deltasOf(api: TextApi | 'generate', body: JsonObject, tokens: readonly number[]): ChoiceDelta[] {
  const plan = planRequest(inferenceRequest(api, body), context);
  const writer = new ChoiceWriter(plan, vocabulary, api !== 'generate');
  const deltas: (ChoiceDelta | undefined)[] = [];
  for (const token of tokens) {
    if (writer.isFinished) break;
    deltas.push(writer.push({ token, probabilities: new Map([[token, 1]]) }));
  }
  return deltas.flatMap((delta) => delta ?? []);
}

/** The same tokens, asked for in text and by way of the token endpoint. */
async function bothWays(api: TextApi, options: JsonObject, tokens: readonly number[]) {
  const body = { ...PROMPTS[api], ...options };
  const [rendered = {}] = [await renderRequest(api, body, context)].flat();
  const direct = deltasOf(api, body, tokens);
  const generated = deltasOf('generate', rendered, tokens);
  const request = inferenceRequest('generate', rendered);
  const hasLogprobs = direct.some(({ logprobs }) => logprobs.length > 0);
  const encoder = answerEncoder({ request, model: 'm', created: 0, hasLogprobs, vocabulary });
  return { direct, generated, rendered, encoder };
}

/** The text and log probabilities of a derendered answer or chunk. */
function contentOf(answer: unknown): { text: string; logprobs: unknown; finishReason: unknown } {
  const { choices } = answer as { choices: JsonObject[] };
  const choice = choices[0] ?? {};
  const holder = (choice['message'] ?? choice['delta'] ?? { content: choice['text'] }) as { content?: string };
  return { text: holder.content ?? '', logprobs: choice['logprobs'], finishReason: choice['finish_reason'] };
}

const usage = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13, prompt_tokens_details: { cached_tokens: 3 } };
const text = (deltas: readonly ChoiceDelta[]): string => deltas.map((delta) => delta.text).join('');

const anyTokens = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }).map((value) => [...Buffer.from(value), END]),
  fc.array(fc.integer({ min: 0, max: END }), { minLength: 1, maxLength: 30 }).map((tokens) => [...tokens, END]),
);
const anyOptions = fc.record(
  {
    max_tokens: fc.integer({ min: 4, max: 30 }),
    min_tokens: fc.integer({ min: 0, max: 4 }),
    stop_token_ids: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 3 }),
    ignore_eos: fc.boolean(),
  },
  { requiredKeys: ['max_tokens'] },
);

describe.each(['chat', 'completions'] as const)('derender of %s', (api) => {
  it('gives the text that the api in text gives, whatever is sampled', async () => {
    await fc.assert(
      fc.asyncProperty(anyTokens, anyOptions, async (tokens, options) => {
        const { direct, generated, rendered, encoder } = await bothWays(api, options, tokens);
        const whole = {
          text: '',
          tokenIds: generated.flatMap(({ tokenIds }) => tokenIds),
          logprobs: [],
          finishReason: generated.at(-1)?.finishReason ?? null,
        };
        fc.pre(whole.finishReason !== null);
        const response = encoder.whole([whole], usage);
        const ids = rendered['token_ids'];
        const body =
          api === 'chat'
            ? { generate_response: response, prompt_token_ids: ids }
            : { generate_responses: [response], prompt_token_ids: [ids] };
        const answer = await derender(api, body, context, vocabulary);
        expect(contentOf(answer)).toMatchObject({ text: text(direct), finishReason: direct.at(-1)?.finishReason });
      }),
    );
  });

  it('gives the same in chunks, with a state that does not grow', async () => {
    await fc.assert(
      fc.asyncProperty(anyTokens, anyOptions, async (tokens, options) => {
        const { direct, generated, rendered, encoder } = await bothWays(api, options, tokens);
        let stream_state: unknown = null;
        let got = '';
        for (const delta of generated) {
          const generate_chunk = encoder.chunk(0, delta, false);
          const given = { stream: true, generate_chunk, stream_state, prompt_token_ids: rendered['token_ids'] };
          const { chunk, ...rest } = await derender(
            api,
            JSON.parse(JSON.stringify(given)) as JsonObject,
            context,
            vocabulary,
          );
          stream_state = rest['stream_state'];
          got += contentOf(chunk).text;
          expect(JSON.stringify(stream_state).length).toBeLessThan(150);
        }
        expect(got).toBe(text(direct));
      }),
    );
  });
});

describe('derender', () => {
  it('gives a whole chat answer with its id, usage and log probabilities', async () => {
    const options = { logprobs: true, top_logprobs: 1 };
    const { generated, rendered, encoder } = await bothWays('chat', options, [...Buffer.from('ok'), END]);
    const joined = {
      text: '',
      tokenIds: generated.flatMap(({ tokenIds }) => tokenIds),
      logprobs: generated.flatMap(({ logprobs }) => logprobs),
      finishReason: 'stop' as const,
    };
    const body = { model: 'm', generate_response: encoder.whole([joined], usage), prompt_tokens: 14 };
    expect(await derender('chat', body, context, vocabulary)).toMatchObject({
      id: rendered['request_id'],
      object: 'chat.completion',
      model: 'm',
      choices: [
        {
          message: { role: 'assistant', content: 'ok' },
          logprobs: { content: [{ token: 'o', logprob: 0, top_logprobs: [{ token: 'o' }] }, { token: 'k' }, {}] },
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 14,
        completion_tokens: 3,
        total_tokens: 17,
        prompt_tokens_details: { cached_tokens: 3 },
      },
    });
  });

  it('joins the answers to several prompts of a completion', async () => {
    const answer = (tokens: number[]) => ({ choices: [{ index: 0, token_ids: tokens, finish_reason: 'length' }] });
    const body = { generate_responses: [answer([97, 98]), answer([99])], prompt_tokens: [2, 3] };
    expect(await derender('completions', body, context, vocabulary)).toMatchObject({
      choices: [
        { index: 0, text: 'ab' },
        { index: 1, text: 'c' },
      ],
      usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
    });
  });

  it('keeps the first space of an answer whose prompt it does not know', async () => {
    const generate_response = { choices: [{ token_ids: [...Buffer.from(' ok')], finish_reason: 'length' }] };
    expect(contentOf(await derender('chat', { generate_response }, context, vocabulary)).text).toBe(' ok');
  });

  it('tells the role once, counts text_offset on, and gives the usage chunk', async () => {
    const chunkOf = (token: number) => ({
      request_id: 'generate-tokens-x',
      choices: [{ index: 1, token_ids: [token], logprobs: { content: [{ token_id: token, logprob: -1 }] } }],
    });
    const ask = (api: TextApi, generate_chunk: JsonObject, stream_state: unknown = null) =>
      derender(api, { stream: true, generate_chunk, stream_state }, context, vocabulary);
    const first = await ask('chat', chunkOf(97));
    expect(first['chunk']).toMatchObject({
      id: 'chatcmpl-x',
      choices: [{ index: 1, delta: { role: 'assistant', content: 'a' }, finish_reason: null }],
    });
    const second = await ask('chat', chunkOf(98), first['stream_state']);
    expect(second['chunk']).toMatchObject({ choices: [{ delta: { content: 'b' } }] });
    expect(JSON.stringify(second['chunk'])).not.toContain('role');
    const last = await ask('chat', { choices: [], usage }, second['stream_state']);
    expect(last).toMatchObject({ chunk: { choices: [], usage }, stream_state: second['stream_state'] });

    const one = await ask('completions', chunkOf(97));
    const two = await ask('completions', chunkOf(98), one['stream_state']);
    expect([one['chunk'], two['chunk']]).toMatchObject([
      { choices: [{ logprobs: { text_offset: [0] } }] },
      { choices: [{ logprobs: { text_offset: [1] } }] },
    ]);
  });

  const choice = { token_ids: [97], finish_reason: 'length' };
  it.each([
    ['chat', {}, 'generate_response'],
    ['chat', { model: 'other' }, 'model'],
    ['chat', { generate_response: { choices: [] } }, 'generate_response.choices'],
    ['chat', { generate_response: { choices: [{ token_ids: [258] }] } }, 'generate_response.choices[0].token_ids[0]'],
    [
      'chat',
      { generate_response: { choices: [{ finish_reason: 'abort' }] } },
      'generate_response.choices[0].finish_reason',
    ],
    ['chat', { generate_response: { choices: [choice] }, prompt_tokens: -1 }, 'prompt_tokens'],
    ['chat', { generate_response: { choices: [choice] }, prompt_token_ids: 'x' }, 'prompt_token_ids'],
    ['chat', { generate_response: { choices: [choice], output_mode: 'text' } }, 'generate_response.output_mode'],
    [
      'chat',
      { generate_response: { choices: [{ logprobs: { content: [{ logprob: 0 }] } }] } },
      'generate_response.choices[0].logprobs.content[0].token_id',
    ],
    ['completions', { generate_responses: [] }, 'generate_responses'],
    ['completions', { generate_responses: [{ choices: [choice] }], prompt_tokens: [1, 2] }, 'prompt_tokens'],
    [
      'completions',
      { generate_responses: [{ choices: [choice] }], prompt_token_ids: [[999]] },
      'prompt_token_ids[0][0]',
    ],
    ['chat', { stream: true }, 'generate_chunk'],
    ['chat', { stream: true, generate_chunk: { choices: [choice, choice] } }, 'generate_chunk.choices'],
    ['chat', { stream: true, generate_chunk: { choices: [] } }, 'generate_chunk.usage'],
    [
      'chat',
      { stream: true, generate_chunk: {}, stream_state: { context: [1, 2, 3, 4, 5, 6] } },
      'stream_state.context',
    ],
    ['chat', { stream: true, generate_chunk: {}, stream_state: { held: [300] } }, 'stream_state.held[0]'],
  ] as [TextApi, JsonObject, string][])('refuses %s %j', async (api, body, param) => {
    await expect(derender(api, body, context, vocabulary)).rejects.toMatchObject({ param });
  });
});
