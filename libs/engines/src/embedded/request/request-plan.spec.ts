import { inferenceRequest, RawJson, type InferenceApi, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { PromptReader } from './prompt.js';
import { planRequest, type RequestPlan } from './request-plan.js';
import type { Vocabulary } from '../llama/vocabulary.js';

const vocabulary: Vocabulary = {
  size: 300,
  begin: 1,
  beginText: '<s>',
  endText: '</s>',
  endIds: [2],
  longestTokenBytes: 4,
  isEnd: (token) => token === 2,
  tokenizeText: (text) => [...Buffer.from(text)],
  tokenizeMarkup: (text) => [...Buffer.from(text)],
  detokenize: (tokens) => Buffer.from(tokens).toString(),
  tokenBytes: (token) => Buffer.from([token]),
  tokenText: (token) => String.fromCharCode(token),
};
const context = {
  modelName: 'm',
  contextTokens: 20,
  vocabularySize: 300,
  prompts: new PromptReader(vocabulary, undefined, 20),
};
const plan = (api: InferenceApi, body: JsonObject): RequestPlan => planRequest(inferenceRequest(api, body), context);

describe('planRequest', () => {
  it('reads a completion with OpenAI’s defaults', () => {
    expect(plan('completions', { prompt: 'ab' })).toMatchObject({
      leg: { kind: 'whole' },
      prompt: [1, 97, 98],
      choices: 1,
      maxTokens: 16,
      logprobs: undefined,
    });
  });

  it('takes the room left for the token endpoint', () => {
    expect(plan('generate', { token_ids: [5, 6], sampling_params: {} })).toMatchObject({
      prompt: [5, 6],
      maxTokens: 18,
    });
  });

  it('knows a prefill leg, also by the nested field', () => {
    const kv_transfer_params = { do_remote_decode: true };
    expect(plan('completions', { prompt: 'a', kv_transfer_params }).leg).toEqual({ kind: 'prefill' });
    const nested = { token_ids: [5], sampling_params: { extra_args: { kv_transfer_params } } };
    expect(plan('generate', nested).leg).toEqual({ kind: 'prefill' });
  });

  it('reads token ids that were kept as bytes, and refuses too many of them unread', () => {
    const raw = (length: number): RawJson => new RawJson(Buffer.from('[5, 6]'), length);
    expect(plan('generate', { token_ids: raw(2), sampling_params: {} }).prompt).toEqual([5, 6]);
    expect(plan('completions', { prompt: raw(2), max_tokens: 1 }).prompt).toEqual([5, 6]);
    expect(() => plan('completions', { prompt: raw(21) })).toThrow(
      expect.objectContaining({ param: 'prompt', code: 'context_length_exceeded' }),
    );
  });

  it('refuses the handoff of another protocol, on either side', () => {
    const foreign = { do_remote_prefill: true, do_remote_decode: false, remote_engine_id: 'e', transfer_id: 't' };
    const mismatch = expect.objectContaining({ status: 400, code: 'connector_mismatch' });
    expect(() => plan('completions', { prompt: 'a', kv_transfer_params: foreign })).toThrow(mismatch);
    const asked = { do_remote_decode: true, kv_connector: 'nixl' };
    expect(() => plan('completions', { prompt: 'a', kv_transfer_params: asked })).toThrow(mismatch);
  });

  it('refuses a text that cannot fit without looking at its tokens', () => {
    expect(() => plan('completions', { prompt: 'x'.repeat(81) })).toThrow(
      expect.objectContaining({
        param: 'prompt',
        code: 'context_length_exceeded',
        message: expect.stringContaining('81'),
      }),
    );
  });

  it.each([
    ['completions', {}, 'prompt'],
    ['completions', { prompt: '' }, 'prompt'],
    ['completions', { prompt: ['a', 'b'] }, 'prompt'],
    ['completions', { prompt: [5, 300] }, 'prompt[1]'],
    ['completions', { prompt: 'x'.repeat(20) }, 'prompt'],
    ['completions', { prompt: 'a', max_tokens: 19 }, 'max_tokens'],
    ['completions', { prompt: 'a', max_tokens: 0 }, 'max_tokens'],
    ['completions', { prompt: 'a', max_tokens: 2, min_tokens: 3 }, 'min_tokens'],
    ['completions', { prompt: 'a', suffix: 'b' }, 'suffix'],
    ['completions', { prompt: 'a', best_of: 2 }, 'best_of'],
    ['completions', { prompt: 'a', n: 9 }, 'n'],
    ['completions', { prompt: 'a', echo: true, logprobs: 1 }, 'logprobs'],
    ['completions', { prompt: 'a', stream: true, kv_transfer_params: { do_remote_decode: true } }, 'stream'],
    ['completions', { prompt: 'a', n: 2, kv_transfer_params: { do_remote_decode: true } }, 'n'],
    ['chat', { messages: [] }, 'messages'],
    ['chat', { messages: [{ role: 'robot', content: '' }] }, 'messages[0].role'],
    ['chat', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages[0].content[0]'],
    ['chat', { messages: [{ role: 'user', content: 'a' }], tools: [{}] }, 'tools'],
    ['chat', { messages: [{ role: 'user', content: 'a' }], tool_choice: 'auto' }, 'tool_choice'],
    [
      'chat',
      { messages: [{ role: 'user', content: 'a' }], response_format: { type: 'json_object' } },
      'response_format',
    ],
    ['chat', { messages: [{ role: 'user', content: 'a' }], top_logprobs: 1 }, 'top_logprobs'],
    ['generate', { token_ids: [5] }, 'sampling_params'],
    ['generate', { token_ids: [], sampling_params: {} }, 'token_ids'],
    ['generate', { token_ids: [5, 6, 7, -1], sampling_params: {} }, 'token_ids[3]'],
    ['generate', { token_ids: [5], sampling_params: { max_tokens: 99 } }, 'sampling_params.max_tokens'],
    ['generate', { token_ids: [5], sampling_params: { stop: 'x' } }, 'sampling_params.stop'],
  ] as [InferenceApi, JsonObject, string][])('refuses %s %j', (api, body, param) => {
    expect(() => plan(api, body)).toThrow(expect.objectContaining({ status: 400, param }));
  });

  it('answers 404 for another model', () => {
    expect(() => plan('completions', { prompt: 'a', model: 'other' })).toThrow(
      expect.objectContaining({ status: 404, param: 'model', code: 'model_not_found' }),
    );
  });
});
