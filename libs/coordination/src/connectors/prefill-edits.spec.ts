import { describe, expect, it } from '@jest/globals';
import { prefillBody } from './prefill-edits.js';

describe('prefillBody', () => {
  it.each(['completions', 'chat'] as const)('asks %s for one token of one choice, not streamed', (api) => {
    const body = {
      prompt: 'x',
      max_tokens: 200,
      max_completion_tokens: 300,
      n: 1,
      best_of: 4,
      min_tokens: 5,
      logprobs: true,
      top_logprobs: 3,
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0.5,
      unknown_field: { kept: true },
    };
    const before = structuredClone(body);
    expect(prefillBody(api, body)).toEqual({
      prompt: 'x',
      max_tokens: 1,
      max_completion_tokens: 1,
      n: 1,
      stream: false,
      temperature: 0.5,
      unknown_field: { kept: true },
    });
    expect(body).toEqual(before);
  });

  it('adds only what makes it a prefill to a body that says little', () => {
    expect(prefillBody('completions', { prompt: 'x' })).toEqual({ prompt: 'x', max_tokens: 1, stream: false });
  });

  it('clamps the sampling parameters of the token endpoint, where the limits are', () => {
    const body = {
      token_ids: [1, 2],
      stream: true,
      sampling_params: { max_tokens: 9, min_tokens: 2, n: 1, logprobs: 1, top_k: 3 },
    };
    expect(prefillBody('generate', body)).toEqual({
      token_ids: [1, 2],
      stream: false,
      sampling_params: { max_tokens: 1, n: 1, top_k: 3 },
    });
    expect(body.sampling_params.max_tokens).toBe(9);
    expect(prefillBody('generate', { token_ids: [1] })).toEqual({
      token_ids: [1],
      stream: false,
      sampling_params: { max_tokens: 1 },
    });
  });
});
