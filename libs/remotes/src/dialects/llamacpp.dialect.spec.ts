import { inferenceRequest, type InferenceRequest, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import type { AnswerTranslator } from './dialect.js';
import { llamaCppDialect } from './llamacpp.dialect.js';

const generate = (body: JsonObject): InferenceRequest =>
  inferenceRequest('generate', { token_ids: [1, 2], sampling_params: {}, ...body }, { id: 'leg-1' });

function translatorOf(leg: InferenceRequest): AnswerTranslator {
  const translator = llamaCppDialect.translator?.(leg);
  if (translator === undefined) throw new Error('No translator.');
  return translator;
}

describe('a call of the token endpoint', () => {
  it('goes to /completion, with what vLLM samples by default', () => {
    expect(llamaCppDialect.call(generate({}))).toEqual({
      path: '/completion',
      body: {
        prompt: [1, 2],
        n_predict: -1,
        temperature: 1,
        top_p: 1,
        top_k: 0,
        min_p: 0,
        repeat_penalty: 1,
        return_tokens: true,
        stream: false,
      },
    });
  });

  it('has its parameters in the names of the server', () => {
    const leg = generate({
      stream: true,
      stream_options: { include_usage: true },
      cache_salt: 's',
      id_slot: 3,
      sampling_params: {
        max_tokens: 8,
        n: 2,
        temperature: 0,
        repetition_penalty: 1.1,
        min_tokens: 0,
        logprobs: 0,
        stop: ['x'],
        stop_token_ids: [],
        skip_special_tokens: true,
        structured_outputs: { json: { type: 'object' } },
      },
    });
    expect(llamaCppDialect.call(leg).body).toEqual({
      prompt: [1, 2],
      n_predict: 8,
      n_cmpl: 2,
      temperature: 0,
      top_p: 1,
      top_k: 0,
      min_p: 0,
      repeat_penalty: 1.1,
      n_probs: 1,
      stop: ['x'],
      json_schema: { type: 'object' },
      id_slot: 3,
      cache_prompt: false,
      return_tokens: true,
      stream: true,
    });
  });

  it.each([
    [{ grammar: 'g' }, { grammar: 'g' }],
    [{ json_object: true }, { json_schema: { type: 'object' } }],
  ])('knows the constraint %j', (structured_outputs, expected) => {
    expect(llamaCppDialect.call(generate({ sampling_params: { structured_outputs } })).body).toMatchObject(expected);
  });

  it.each([{ stop_token_ids: [2] }, { min_tokens: 4 }, { prompt_logprobs: 1 }, { structured_outputs: { regex: 'a' } }])(
    'refuses what the server cannot do: %j',
    (sampling_params) => {
      expect(() => llamaCppDialect.call(generate({ sampling_params }))).toThrow(
        expect.objectContaining({ status: 501 }),
      );
    },
  );
});

describe('an answer of the token endpoint', () => {
  const last = (stop_type: string, more: JsonObject = {}): JsonObject => ({
    index: 0,
    content: '',
    tokens: [],
    stop: true,
    stop_type,
    model: 'file.gguf',
    tokens_predicted: 2,
    tokens_evaluated: 2,
    timings: { cache_n: 1 },
    ...more,
  });

  it.each([
    ['eos', 'stop'],
    ['word', 'stop'],
    ['limit', 'length'],
    ['none', 'abort'],
  ])('that ended by %s has the finish reason %s', (type, finish_reason) => {
    expect(translatorOf(generate({})).whole(last(type))).toMatchObject({ choices: [{ finish_reason }] });
  });

  it('becomes a GenerateResponse', () => {
    const completion_probabilities = [
      { id: 5, logprob: -1, token: 'a', top_logprobs: [{ id: 5, logprob: -1, token: 'a' }] },
    ];
    expect(
      translatorOf(generate({})).whole(
        last('word', { tokens: [5, 6], stopping_word: 'x', content: 'ab', completion_probabilities }),
      ),
    ).toEqual({
      request_id: 'leg-1',
      model: 'file.gguf',
      created: expect.any(Number),
      choices: [
        {
          index: 0,
          token_ids: [5, 6],
          finish_reason: 'stop',
          stop_reason: 'x',
          logprobs: {
            content: [{ token_id: 5, logprob: -1, rank: 1, top_logprobs: [{ token_id: 5, logprob: -1, rank: 1 }] }],
          },
        },
      ],
      usage: {
        prompt_tokens: 2,
        completion_tokens: 2,
        total_tokens: 4,
        prompt_tokens_details: { cached_tokens: 1 },
      },
    });
  });

  it('is translated event by event, and says itself when it is whole', () => {
    const translator = translatorOf(generate({ stream: true, stream_options: { include_usage: true } }));
    const partial = { index: 0, content: 'a', stop: false, tokens_evaluated: 2 };
    expect(translator.event({ ...partial, tokens: [], prompt_progress: {}, tokens_predicted: 0 })).toEqual([]);
    expect(translator.event({ ...partial, tokens: [5], tokens_predicted: 1 })).toEqual([
      { request_id: 'leg-1', choices: [{ index: 0, token_ids: [5], finish_reason: null, logprobs: null }] },
    ]);
    expect(translator.isWhole?.()).toBe(false);
    expect(translator.event(last('limit'))).toMatchObject([
      { choices: [{ token_ids: [], finish_reason: 'length' }] },
      { choices: [], usage: { completion_tokens: 2 } },
    ]);
    expect(translator.isWhole?.()).toBe(true);
  });

  it('of several choices is whole when each has ended', () => {
    const translator = translatorOf(generate({ stream: true, sampling_params: { n: 2 } }));
    translator.event(last('eos'));
    expect(translator.isWhole?.()).toBe(false);
    translator.event(last('eos', { index: 1 }));
    expect(translator.isWhole?.()).toBe(true);
  });

  it('passes an error on, and cannot do without token ids', () => {
    const error = { error: { code: 500, message: 'no' } };
    const translator = translatorOf(generate({ stream: true }));
    expect(translator.event(error)).toEqual([error]);
    expect(() => translator.event({ content: 'a', stop: false })).toThrow(expect.objectContaining({ status: 502 }));
  });
});
