import { validateBody, type BodyClass } from '@baton/coordination';
import { InferenceError, RawJson } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { AbortRequestsRequest } from './abort-requests.js';
import { ChatCompletionRequest } from './chat-completion-request.js';
import { CompletionRequest } from './completion-request.js';
import { ChatDerenderRequest, CompletionDerenderRequest } from './derender.js';
import { GenerateRequest } from './generate-request.js';
import { DetokenizeRequest, TokenizeRequest } from './tokenize.js';

const prompt = { prompt: 'a' };
const messages = { messages: [{ role: 'user', content: 'a' }] };
/** Token ids that nobody has expanded. */
const raw = new RawJson(Buffer.from('[1,2]'), 2);
const tokens = { token_ids: [1], sampling_params: {} };

function refusal(dto: BodyClass, body: unknown): InferenceError | undefined {
  try {
    validateBody(dto, body);
    return undefined;
  } catch (error) {
    if (error instanceof InferenceError) return error;
    throw error;
  }
}

describe('request bodies', () => {
  it.each<[BodyClass, object]>([
    [CompletionRequest, prompt],
    [CompletionRequest, { prompt: ['a', 'b'] }],
    [CompletionRequest, { prompt: [1, 2] }],
    [CompletionRequest, { prompt: [[1], [2, 3]] }],
    [CompletionRequest, { ...prompt, model: null, max_tokens: null, stop: null, stream_options: null, logprobs: 0 }],
    [CompletionRequest, { ...prompt, temperature: 0, top_p: 1, top_k: -1, seed: -5, stop: ['a', 'b'], n: 2 }],
    [CompletionRequest, { ...prompt, stream: true, stream_options: { include_usage: true, other: 1 } }],
    [CompletionRequest, { ...prompt, unknown_field: { a: [1] }, kv_transfer_params: { do_remote_decode: true } }],
    [ChatCompletionRequest, messages],
    [ChatCompletionRequest, { messages: [{ role: 'system', content: [{ type: 'text', text: 'a' }] }] }],
    [ChatCompletionRequest, { messages: [{ role: 'assistant', content: null, tool_calls: [] }], max_tokens: 1 }],
    [ChatCompletionRequest, { ...messages, logprobs: true, top_logprobs: 20 }],
    [ChatCompletionRequest, { ...messages, top_logprobs: 0 }],
    [CompletionRequest, { ...prompt, n: 8, best_of: 8, logprobs: 5, repetition_penalty: 2, logit_bias: { 3: -100 } }],
    [CompletionRequest, { ...prompt, stop: Array.from({ length: 16 }, () => 'a') }],
    // What some engine servers take and the embedded engine refuses by itself.
    [CompletionRequest, { ...prompt, n: 128, best_of: 128, temperature: 5, repetition_penalty: 3, logprobs: -1 }],
    [CompletionRequest, { ...prompt, echo: true, prompt_logprobs: 3, seed: 2n ** 62n, logit_bias: {} }],
    [CompletionRequest, { ...prompt, stop: Array.from({ length: 17 }, () => 'a') }],
    [CompletionRequest, { ...prompt, stop_token_ids: Array.from({ length: 1_025 }, () => 1) }],
    [CompletionRequest, { ...prompt, stream: true, prompt_logprobs: 0 }],
    [CompletionRequest, { prompt: raw }],
    [ChatCompletionRequest, { ...messages, tools: [], tool_choice: 'auto', response_format: { type: 'json_object' } }],
    [
      ChatCompletionRequest,
      { messages: [{ role: 'latest_reminder', content: 'a' }], logprobs: true, top_logprobs: 50 },
    ],
    [
      ChatCompletionRequest,
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] },
    ],
    [GenerateRequest, { token_ids: raw, sampling_params: { n: 16, logprobs: 21, prompt_logprobs: 1 } }],
    [AbortRequestsRequest, { request_ids: [] }],
    [CompletionDerenderRequest, { generate_responses: [], prompt_tokens: [1] }],
    [ChatDerenderRequest, { stream: true, generate_chunk: {}, stream_state: null }],
    [GenerateRequest, tokens],
    [GenerateRequest, { ...tokens, sampling_params: { temperature: 0, max_tokens: 1, extra_args: { a: 1 } } }],
    [TokenizeRequest, prompt],
    [TokenizeRequest, { prompt: '' }],
    [TokenizeRequest, messages],
    [DetokenizeRequest, { tokens: [] }],
  ])('%p takes %j', (dto, body) => {
    expect(refusal(dto, body)).toBeUndefined();
  });

  it.each<[BodyClass, unknown, string | null]>([
    [CompletionRequest, undefined, null],
    [CompletionRequest, [], null],
    [CompletionRequest, {}, 'prompt'],
    [CompletionRequest, { prompt: null }, 'prompt'],
    [CompletionRequest, { prompt: '' }, 'prompt'],
    [CompletionRequest, { prompt: 5 }, 'prompt'],
    [CompletionRequest, { prompt: {} }, 'prompt'],
    [CompletionRequest, { prompt: [] }, 'prompt'],
    [CompletionRequest, { prompt: ['a', ''] }, 'prompt[1]'],
    [CompletionRequest, { prompt: ['a', 1] }, 'prompt[1]'],
    [CompletionRequest, { prompt: [1, 'a'] }, 'prompt[1]'],
    [CompletionRequest, { prompt: [1, -1] }, 'prompt[1]'],
    [CompletionRequest, { prompt: [1.5] }, 'prompt[0]'],
    [CompletionRequest, { prompt: [[1], []] }, 'prompt[1]'],
    [CompletionRequest, { prompt: [[1], [null]] }, 'prompt[1][0]'],
    [CompletionRequest, { ...prompt, model: 5 }, 'model'],
    [CompletionRequest, { ...prompt, max_tokens: 0 }, 'max_tokens'],
    [CompletionRequest, { ...prompt, max_tokens: 1.5 }, 'max_tokens'],
    [CompletionRequest, { ...prompt, max_tokens: '5' }, 'max_tokens'],
    [CompletionRequest, { ...prompt, temperature: -0.1 }, 'temperature'],
    [CompletionRequest, { ...prompt, temperature: Infinity }, 'temperature'],
    [CompletionRequest, { ...prompt, temperature: 'hot' }, 'temperature'],
    [CompletionRequest, { ...prompt, top_p: 0 }, 'top_p'],
    [CompletionRequest, { ...prompt, top_p: 1.01 }, 'top_p'],
    [CompletionRequest, { ...prompt, top_k: -2 }, 'top_k'],
    [CompletionRequest, { ...prompt, seed: 1.5 }, 'seed'],
    [CompletionRequest, { ...prompt, seed: 2 ** 60 }, 'seed'],
    [CompletionRequest, { ...prompt, seed: 2n ** 63n }, 'seed'],
    [CompletionRequest, { ...prompt, prompt_logprobs: -2 }, 'prompt_logprobs'],
    [CompletionRequest, { ...prompt, stream: true, prompt_logprobs: 1 }, 'prompt_logprobs'],
    [ChatCompletionRequest, { ...messages, stream: true, prompt_logprobs: -1 }, 'prompt_logprobs'],
    [
      GenerateRequest,
      { ...tokens, stream: true, sampling_params: { prompt_logprobs: 2 } },
      'sampling_params.prompt_logprobs',
    ],
    [CompletionRequest, { ...prompt, n: 0 }, 'n'],
    [CompletionRequest, { ...prompt, n: 129 }, 'n'],
    [CompletionRequest, { ...prompt, best_of: 129 }, 'best_of'],
    [CompletionRequest, { ...prompt, stop: '' }, 'stop'],
    [CompletionRequest, { ...prompt, stop: ['a', 5] }, 'stop[1]'],
    [CompletionRequest, { ...prompt, min_tokens: -1 }, 'min_tokens'],
    [CompletionRequest, { ...prompt, presence_penalty: 3 }, 'presence_penalty'],
    [CompletionRequest, { ...prompt, repetition_penalty: 0 }, 'repetition_penalty'],
    [CompletionRequest, { ...prompt, logprobs: true }, 'logprobs'],
    [CompletionRequest, { ...prompt, logprobs: -2 }, 'logprobs'],
    [CompletionRequest, { ...prompt, stop: Array.from({ length: 257 }, () => 'a') }, 'stop'],
    [CompletionRequest, { ...prompt, logit_bias: { ...Array.from({ length: 16_385 }, () => 1) } }, 'logit_bias'],
    [CompletionRequest, { ...prompt, logit_bias: [] }, 'logit_bias'],
    [CompletionRequest, { ...prompt, logit_bias: { a: 1 } }, 'logit_bias.a'],
    [CompletionRequest, { ...prompt, logit_bias: { 3: 101 } }, 'logit_bias.3'],
    [CompletionRequest, { ...prompt, stream: 'true' }, 'stream'],
    [CompletionRequest, { ...prompt, stream_options: {} }, 'stream_options'],
    [CompletionRequest, { ...prompt, stream: true, stream_options: [] }, 'stream_options'],
    [
      CompletionRequest,
      { ...prompt, stream: true, stream_options: { include_usage: 1 } },
      'stream_options.include_usage',
    ],
    [CompletionRequest, { ...prompt, kv_transfer_params: 'x' }, 'kv_transfer_params'],
    [ChatCompletionRequest, {}, 'messages'],
    [ChatCompletionRequest, { messages: [] }, 'messages'],
    [ChatCompletionRequest, { messages: 'hello' }, 'messages'],
    [ChatCompletionRequest, { messages: ['hello'] }, 'messages[0]'],
    [ChatCompletionRequest, { messages: [{ content: 'a' }] }, 'messages[0].role'],
    [ChatCompletionRequest, { messages: [messages.messages[0], { role: '', content: 'a' }] }, 'messages[1].role'],
    [ChatCompletionRequest, { messages: [{ role: 'user' }] }, 'messages[0].content'],
    [ChatCompletionRequest, { messages: [{ role: 'user', content: ['a'] }] }, 'messages[0].content[0]'],
    [
      ChatCompletionRequest,
      { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
      'messages[0].content[0].text',
    ],
    [ChatCompletionRequest, { ...messages, max_completion_tokens: 0 }, 'max_completion_tokens'],
    [ChatCompletionRequest, { ...messages, top_logprobs: 2 }, 'top_logprobs'],
    [ChatCompletionRequest, { ...messages, logprobs: true, top_logprobs: -2 }, 'top_logprobs'],
    [ChatCompletionRequest, { ...messages, logprobs: 2 }, 'logprobs'],
    [GenerateRequest, { token_ids: [1] }, 'sampling_params'],
    [GenerateRequest, { ...tokens, token_ids: [] }, 'token_ids'],
    [GenerateRequest, { ...tokens, token_ids: 'a' }, 'token_ids'],
    [GenerateRequest, { ...tokens, token_ids: [0, 2 ** 60] }, 'token_ids[1]'],
    [GenerateRequest, { ...tokens, sampling_params: { max_tokens: 0 } }, 'sampling_params.max_tokens'],
    [
      GenerateRequest,
      { ...tokens, sampling_params: { stop_token_ids: [1, 'a'] } },
      'sampling_params.stop_token_ids[1]',
    ],
    [TokenizeRequest, {}, 'prompt'],
    [TokenizeRequest, { ...prompt, ...messages }, 'prompt'],
    [TokenizeRequest, { prompt: 5 }, 'prompt'],
    [DetokenizeRequest, {}, 'tokens'],
    [TokenizeRequest, { prompt: raw }, 'prompt'],
    [AbortRequestsRequest, {}, 'request_ids'],
    [AbortRequestsRequest, { request_ids: 'a' }, 'request_ids'],
    [AbortRequestsRequest, { request_ids: ['a', 1] }, 'request_ids[1]'],
    [AbortRequestsRequest, { request_ids: Array.from({ length: 10_001 }, () => 'a') }, 'request_ids'],
    [CompletionDerenderRequest, {}, 'generate_responses'],
    [CompletionDerenderRequest, { generate_responses: [{}, 1] }, 'generate_responses[1]'],
    [ChatDerenderRequest, { generate_chunk: {} }, 'generate_response'],
    [ChatDerenderRequest, { stream: true, generate_response: {} }, 'generate_chunk'],
    [DetokenizeRequest, { tokens: ['a'] }, 'tokens[0]'],
  ])('%p refuses %j at %s', (dto, body, param) => {
    const error = refusal(dto, body);
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    if (param !== null && error !== undefined) expect(error.message).toContain(param);
  });

  it('checks a million tokens within a blink', () => {
    const token_ids = Array.from({ length: 1_000_000 }, (_, index) => index % 1_000);
    const startedAt = performance.now();
    expect(refusal(GenerateRequest, { ...tokens, token_ids })).toBeUndefined();
    expect(performance.now() - startedAt).toBeLessThan(250);
  });
});
