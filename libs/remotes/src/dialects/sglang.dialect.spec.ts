import { inferenceRequest, legOf, type InferenceRequest, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AnswerTranslator } from './dialect.js';
import { sglangDialect } from './sglang.dialect.js';

const client = inferenceRequest('generate', {}, { id: 'of the client' });
const LEG_ID = `${client.key}-01234567`;

const generate = (body: JsonObject): InferenceRequest => ({
  ...legOf(client, { token_ids: [1, 2], sampling_params: {}, ...body }),
  id: LEG_ID,
});

function translatorOf(leg: InferenceRequest): AnswerTranslator {
  const translator = sglangDialect.translator?.(leg);
  if (translator === undefined) throw new Error('No translator.');
  return translator;
}

const meta = (completion: number, finish: JsonObject | null = null, more: JsonObject = {}): JsonObject => ({
  id: LEG_ID,
  prompt_tokens: 2,
  completion_tokens: completion,
  cached_tokens: 1,
  finish_reason: finish,
  ...more,
});

/** The token ids of all events, and the last finish reason. */
function joined(events: readonly JsonObject[]): { tokens: unknown[]; finish: unknown } {
  const choices = events.flatMap(({ choices: list }) => (Array.isArray(list) ? (list as JsonObject[]) : []));
  return {
    tokens: choices.flatMap(({ token_ids: ids }) => ids as unknown[]),
    finish: choices.map(({ finish_reason: reason }) => reason).at(-1),
  };
}

describe('a call', () => {
  it('of the token endpoint goes to /generate, with its parameters in the names of the server', () => {
    const leg = generate({
      request_id: 'client',
      model: 'm',
      cache_salt: 'salt',
      priority: 0,
      kv_transfer_params: null,
      bootstrap_host: '10.0.0.7',
      bootstrap_room: 7,
      rid: 'of the client',
      sampling_params: {
        max_tokens: 8,
        min_tokens: 2,
        seed: 3,
        temperature: 0,
        top_k: 0,
        stop: [],
        bad_words: null,
        skip_special_tokens: false,
        extra_args: { kv_transfer_params: {} },
        logprobs: 2,
        structured_outputs: { json: { type: 'object' } },
      },
    });
    expect(sglangDialect.call(leg)).toEqual({
      path: '/generate',
      body: {
        input_ids: [1, 2],
        sampling_params: {
          max_new_tokens: 8,
          min_new_tokens: 2,
          sampling_seed: 3,
          temperature: 0,
          top_k: -1,
          skip_special_tokens: false,
          json_schema: '{"type":"object"}',
        },
        return_logprob: true,
        top_logprobs_num: 2,
        extra_key: 'salt',
        stream: false,
        rid: LEG_ID,
        bootstrap_host: '10.0.0.7',
        bootstrap_room: 7,
      },
    });
  });

  it('asks for all that fits when the request names no length', () => {
    expect(sglangDialect.call(generate({})).body['sampling_params']).toEqual({ max_new_tokens: null });
  });

  it('asks for the logprobs of the prompt from its start', () => {
    expect(sglangDialect.call(generate({ sampling_params: { prompt_logprobs: 0 } })).body).toMatchObject({
      return_logprob: true,
      top_logprobs_num: 0,
      logprob_start_len: 0,
    });
  });

  it.each([
    [{ regex: 'a+' }, { regex: 'a+' }],
    [{ grammar: 'root ::= "a"' }, { ebnf: 'root ::= "a"' }],
    [{ json_object: true }, { json_schema: '{"type":"object"}' }],
    [{ json: '{}' }, { json_schema: '{}' }],
    [{ structural_tag: '{}' }, { structural_tag: '{}' }],
  ])('knows the constraint %j', (structured_outputs, expected) => {
    expect(sglangDialect.call(generate({ sampling_params: { structured_outputs } })).body).toMatchObject({
      sampling_params: expected,
    });
  });

  it.each([
    [{ features: { mm_hashes: {} } }, 'features'],
    [{ content_parts: [{ type: 'image_url' }] }, 'content_parts'],
    [{ sampling_params: { bad_words: ['x'] } }, 'sampling_params.bad_words'],
    [{ sampling_params: { structured_outputs: { choice: ['a'] } } }, 'sampling_params.structured_outputs'],
  ])('refuses what the server cannot do: %j', (body, param) => {
    expect(() => sglangDialect.call(generate(body))).toThrow(
      expect.objectContaining({ status: 501, param, code: 'unsupported_by_engine' }),
    );
  });

  it('of chat and completions carries the id of the leg, under which it is aborted', () => {
    for (const api of ['chat', 'completions'] as const) {
      const leg = legOf(inferenceRequest(api, {}), { prompt: [1, 2], rid: 'of the client' });
      expect(sglangDialect.call(leg).body).toEqual({ prompt: [1, 2], rid: leg.id });
      expect(sglangDialect.abort(leg)).toEqual({ path: '/abort_request', body: { rid: leg.id } });
    }
  });

  it('that came with an id from elsewhere does not carry it', () => {
    const request = inferenceRequest('chat', {}, { id: '1', isLeg: true });
    expect(sglangDialect.call(request).body).toEqual({ rid: request.key });
    expect(sglangDialect.abort(request)).toMatchObject({ body: { rid: request.key } });
  });

  it('of several sequences carries no id, and cannot be aborted by it', () => {
    const legs = [
      inferenceRequest('chat', { n: 2, rid: 'x' }),
      inferenceRequest('completions', { prompt: ['a', 'b'] }),
      inferenceRequest('completions', { prompt: [[1], [2]] }),
      generate({ sampling_params: { n: 2 } }),
    ];
    for (const leg of legs) {
      expect(sglangDialect.call(leg).body['rid']).toBeUndefined();
      expect(sglangDialect.abort(leg)).toBeUndefined();
    }
  });
});

describe('an empty finish reason', () => {
  it('is none', () => {
    const stream = translatorOf(generate({ stream: true }));
    expect(stream.event({ output_ids: [5], meta_info: { finish_reason: '' } })).toMatchObject([
      { choices: [{ token_ids: [5], finish_reason: null }] },
    ]);
  });
});

describe('a whole answer', () => {
  it('becomes a GenerateResponse', () => {
    const answer = translatorOf(generate({ model: 'm' })).whole({
      text: 'ab',
      output_ids: [5, 6],
      meta_info: meta(
        2,
        { type: 'stop', matched: 6 },
        {
          output_token_logprobs: [
            [-0.5, 5, null],
            [-0.1, 6, null],
          ],
          output_top_logprobs: [
            [
              [-0.2, 9, null],
              [-0.5, 5, null],
            ],
            null,
          ],
          input_token_logprobs: [
            [null, 1, null],
            [-1.5, 2, null],
          ],
          input_top_logprobs: [null, [[-0.3, 4, null]]],
        },
      ),
    });
    expect(answer).toEqual({
      request_id: LEG_ID,
      model: 'm',
      created: expect.any(Number),
      choices: [
        {
          index: 0,
          token_ids: [5, 6],
          finish_reason: 'stop',
          stop_reason: 6,
          logprobs: {
            content: [
              {
                token_id: 5,
                logprob: -0.5,
                rank: 2,
                top_logprobs: [
                  { token_id: 9, logprob: -0.2, rank: 1 },
                  { token_id: 5, logprob: -0.5, rank: 2 },
                ],
              },
              { token_id: 6, logprob: -0.1, rank: null, top_logprobs: [] },
            ],
          },
        },
      ],
      usage: {
        prompt_tokens: 2,
        completion_tokens: 2,
        total_tokens: 4,
        prompt_tokens_details: { cached_tokens: 1 },
      },
      prompt_logprobs: [
        null,
        {
          '4': { logprob: -0.3, rank: 1, decoded_token: null },
          '2': { logprob: -1.5, rank: null, decoded_token: null },
        },
      ],
    });
  });

  it('of several choices is a list', () => {
    const answer = translatorOf(generate({ sampling_params: { n: 2 } })).whole([
      { output_ids: [5], meta_info: meta(1, { type: 'length' }) },
      { output_ids: [6, 7], meta_info: meta(2, { type: 'abort', message: 'no' }) },
    ]);
    expect(answer).toMatchObject({
      choices: [
        { index: 0, token_ids: [5], finish_reason: 'length' },
        { index: 1, token_ids: [6, 7], finish_reason: 'abort' },
      ],
      usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
    });
  });

  it.each([{ error: { message: 'no' } }, { object: 'error', message: 'no' }])('that is an error stays: %j', (body) => {
    expect(translatorOf(generate({})).whole(body)).toBe(body);
  });

  it.each([[[]], ['x'], [null], [[1]]])('that is none becomes an empty one: %j', (body) => {
    expect(translatorOf(generate({})).whole(body)).toEqual({});
  });

  it('without token ids cannot be used', () => {
    expect(() => translatorOf(generate({})).whole({ text: 'ab', meta_info: meta(2) })).toThrow(
      expect.objectContaining({ status: 502, code: 'bad_upstream_answer' }),
    );
  });
});

describe('a stream', () => {
  const stream = (body: JsonObject = {}): AnswerTranslator => translatorOf(generate({ stream: true, ...body }));

  it('that repeats itself is cut to what is new', () => {
    const translator = stream({ stream_options: { include_usage: true } });
    expect(translator.event({ output_ids: [5], meta_info: meta(1) })).toEqual([
      { request_id: LEG_ID, choices: [{ index: 0, token_ids: [5], finish_reason: null, logprobs: null }] },
    ]);
    expect(translator.event({ output_ids: [5, 5], meta_info: meta(2) })).toMatchObject([
      { choices: [{ token_ids: [5] }] },
    ]);
    expect(translator.event({ output_ids: [5, 5], meta_info: meta(2) })).toEqual([]);
    expect(translator.event({ output_ids: [5, 5, 6, 7], meta_info: meta(4, { type: 'length' }) })).toEqual([
      { request_id: LEG_ID, choices: [{ index: 0, token_ids: [6, 7], finish_reason: 'length', logprobs: null }] },
      {
        request_id: LEG_ID,
        choices: [],
        usage: {
          prompt_tokens: 2,
          completion_tokens: 4,
          total_tokens: 6,
          prompt_tokens_details: { cached_tokens: 1 },
        },
      },
    ]);
  });

  it('that is incremental passes, also when it repeats a token', () => {
    const translator = stream();
    const events = [
      ...translator.event({ output_ids: [5], meta_info: meta(1) }),
      ...translator.event({ output_ids: [5], meta_info: meta(2) }),
      ...translator.event({ output_ids: [5, 6], meta_info: meta(4) }),
      ...translator.event({ output_ids: [], meta_info: meta(4, { type: 'stop' }) }),
    ];
    expect(joined(events)).toEqual({ tokens: [5, 5, 5, 6], finish: 'stop' });
  });

  it.each([true, false])('without counts is understood (cumulative: %s)', (isCumulative) => {
    const translator = stream();
    const chunks = [[5, 6], [7], [8, 9]];
    const events = chunks.flatMap((chunk, at) =>
      translator.event({
        output_ids: isCumulative ? chunks.slice(0, at + 1).flat() : chunk,
        meta_info: { finish_reason: at === 2 ? { type: 'length' } : null },
      }),
    );
    expect(joined(events)).toEqual({ tokens: [5, 6, 7, 8, 9], finish: 'length' });
  });

  it('gives the same tokens either way, however it is cut, with as many logprobs', () => {
    const chunks = fc.array(fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(chunks, fc.boolean(), (cut, isCumulative) => {
        const translator = stream();
        const events = cut.flatMap((chunk, at) => {
          const all = cut.slice(0, at + 1).flat();
          const ids = isCumulative ? all : chunk;
          return translator.event({
            output_ids: ids,
            meta_info: meta(all.length, at === cut.length - 1 ? { type: 'length' } : null, {
              output_token_logprobs: ids.map((id) => [-1, id, null]),
            }),
          });
        });
        expect(joined(events)).toEqual({ tokens: cut.flat(), finish: 'length' });
        for (const { choices } of events) {
          const [choice] = choices as [{ token_ids: unknown[]; logprobs: { content: { token_id: unknown }[] } }];
          expect(choice.logprobs.content.map(({ token_id }) => token_id)).toEqual(choice.token_ids);
        }
      }),
    );
  });

  it('of several choices keeps them apart, and counts them together', () => {
    const translator = stream({
      sampling_params: { n: 2 },
      stream_options: { include_usage: true, continuous_usage_stats: true },
    });
    const events = [
      ...translator.event({ index: 0, output_ids: [5], meta_info: meta(1) }),
      ...translator.event({ index: 1, output_ids: [6], meta_info: meta(1) }),
      ...translator.event({ index: 0, output_ids: [5, 7], meta_info: meta(2, { type: 'length' }) }),
      ...translator.event({ index: 1, output_ids: [6, 8], meta_info: meta(2, { type: 'stop' }) }),
    ];
    expect(events).toMatchObject([
      { choices: [{ index: 0, token_ids: [5] }], usage: { completion_tokens: 1 } },
      { choices: [{ index: 1, token_ids: [6] }], usage: { completion_tokens: 2 } },
      { choices: [{ index: 0, token_ids: [7], finish_reason: 'length' }], usage: { completion_tokens: 3 } },
      { choices: [{ index: 1, token_ids: [8], finish_reason: 'stop' }], usage: { completion_tokens: 4 } },
      { choices: [], usage: { prompt_tokens: 2, completion_tokens: 4, total_tokens: 6 } },
    ]);
    expect(events).toHaveLength(5);
  });

  it('passes an error on', () => {
    const error = { error: { message: 'no' } };
    expect(stream().event(error)).toEqual([error]);
  });
});
