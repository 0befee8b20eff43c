import { inferenceRequest, type InferenceRequest, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import type { AnswerTranslator } from './dialect.js';
import { trtLlmDialect } from './trtllm.dialect.js';

const generate = (body: JsonObject): InferenceRequest =>
  inferenceRequest('generate', { token_ids: [1, 2], sampling_params: {}, ...body }, { id: 'leg-1' });

function translatorOf(leg: InferenceRequest): AnswerTranslator {
  const translator = trtLlmDialect.translator?.(leg);
  if (translator === undefined) throw new Error('No translator.');
  return translator;
}

describe('a call of the token endpoint', () => {
  it('is a completion of token ids that is not detokenized', () => {
    const leg = generate({
      model: 'm',
      request_id: 'x',
      priority: 0,
      stream: true,
      stream_options: { include_usage: true },
      disaggregated_params: { request_type: 'context_only', disagg_request_id: 9 },
      sampling_params: {
        max_tokens: 8,
        temperature: 0,
        top_k: -1,
        logprobs: 0,
        stop: [],
        seed: null,
        detokenize: false,
        output_kind: 2,
        extra_args: {},
        structured_outputs: { grammar: 'g' },
      },
    });
    expect(trtLlmDialect.call(leg)).toEqual({
      path: '/v1/completions',
      body: {
        model: 'm',
        prompt: [1, 2],
        max_tokens: 8,
        temperature: 0,
        top_k: 0,
        logprobs: 1,
        response_format: { type: 'ebnf', ebnf: 'g' },
        detokenize: false,
        stream: true,
        stream_options: { include_usage: true },
        disaggregated_params: { request_type: 'context_only', disagg_request_id: 9 },
      },
    });
  });

  it('has a model, which the server wants, and no stream options without a stream, which it refuses', () => {
    expect(trtLlmDialect.call(generate({ stream_options: { include_usage: true } })).body).toEqual({
      model: '',
      prompt: [1, 2],
      detokenize: false,
      stream: false,
    });
  });

  it.each([
    [{ json: { type: 'object' } }, { type: 'json', schema: { type: 'object' } }],
    [{ json_object: true }, { type: 'json_object' }],
    [{ regex: 'a' }, { type: 'regex', regex: 'a' }],
  ])('knows the constraint %j', (structured_outputs, response_format) => {
    const { body } = trtLlmDialect.call(generate({ sampling_params: { structured_outputs } }));
    expect(body['response_format']).toEqual(response_format);
  });

  it.each([
    { sampling_params: { prompt_logprobs: 0 } },
    { sampling_params: { structured_outputs: { choice: ['a'] } } },
    { features: {} },
  ])('refuses what the server cannot do: %j', (body) => {
    expect(() => trtLlmDialect.call(generate(body))).toThrow(expect.objectContaining({ status: 501 }));
  });
});

describe('an answer of the token endpoint', () => {
  const usage = { prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 };

  it('becomes a GenerateResponse, with what the decode side needs', () => {
    const handed = { request_type: 'context_only', ctx_request_id: 7, opaque: { kept: true } };
    const answer = translatorOf(generate({})).whole({
      id: 'cmpl-1',
      object: 'text_completion',
      created: 5,
      model: 'm',
      choices: [
        {
          index: 0,
          text: '',
          token_ids: [5, 6],
          finish_reason: 'not_finished',
          stop_reason: null,
          logprobs: { token_logprobs: [-1, -2], tokens: ['a', 'b'], text_offset: [0, 1], top_logprobs: [] },
          disaggregated_params: handed,
        },
      ],
      usage,
      prompt_token_ids: [1, 2],
    });
    expect(answer).toEqual({
      request_id: 'cmpl-1',
      model: 'm',
      created: 5,
      choices: [
        {
          index: 0,
          token_ids: [5, 6],
          finish_reason: 'not_finished',
          logprobs: {
            content: [
              { token_id: 5, logprob: -1, rank: null, top_logprobs: [] },
              { token_id: 6, logprob: -2, rank: null, top_logprobs: [] },
            ],
          },
          disaggregated_params: handed,
        },
      ],
      usage,
      prompt_token_ids: [1, 2],
    });
  });

  it('is translated event by event', () => {
    const translator = translatorOf(generate({ stream: true }));
    const event = (token_ids: number[], finish_reason: string | null): readonly JsonObject[] =>
      translator.event({
        id: 'cmpl-1',
        choices: [{ index: 0, text: '', token_ids, finish_reason, logprobs: null, stop_reason: 6 }],
        usage: null,
      });
    expect(event([5], null)).toEqual([
      {
        request_id: 'cmpl-1',
        choices: [{ index: 0, token_ids: [5], finish_reason: null, logprobs: null, stop_reason: 6 }],
      },
    ]);
    expect(event([5], '')).toMatchObject([{ choices: [{ finish_reason: null }] }]);
    expect(event([6], 'stop')).toMatchObject([{ choices: [{ finish_reason: 'stop' }] }]);
    expect(translator.event({ id: 'cmpl-1', choices: [], usage })).toEqual([
      { request_id: 'cmpl-1', choices: [], usage },
    ]);
    // Its end mark is its own.
    expect(translator.isWhole).toBeUndefined();
  });

  it('that is an error stays', () => {
    const flat = { object: 'error', message: 'no', type: 'BadRequestError', code: 400 };
    expect(translatorOf(generate({})).whole(flat)).toBe(flat);
    expect(translatorOf(generate({})).event(flat)).toEqual([flat]);
    expect(translatorOf(generate({})).whole('x')).toEqual({});
  });

  it('without token ids cannot be used', () => {
    const body = { choices: [{ index: 0, text: 'a', token_ids: null, finish_reason: 'stop' }] };
    const error = expect.objectContaining({ status: 502, code: 'bad_upstream_answer' });
    expect(() => translatorOf(generate({})).whole(body)).toThrow(error);
    expect(() => translatorOf(generate({})).event(body)).toThrow(error);
  });
});
