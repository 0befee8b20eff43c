import { inferenceRequest, type InferenceApi, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { lastValueFrom } from 'rxjs';
import { serialPlan } from './cancellation.js';
import { SharedStorageKvConnector } from './shared-storage.connector.js';

const connector = new SharedStorageKvConnector();

/** What a client sends. */
const CLIENT: Record<InferenceApi, JsonObject> = {
  completions: {
    model: 'm',
    prompt: 'x',
    max_tokens: 9,
    min_tokens: 2,
    logprobs: 1,
    prompt_logprobs: 1,
    own: { a: 1 },
  },
  chat: { messages: [{ role: 'user', content: 'x' }], max_completion_tokens: 9, logprobs: true, n: 1, own: [null] },
  generate: { token_ids: [1, 2], sampling_params: { max_tokens: 9, logprobs: 1, prompt_logprobs: 1, own: 2 }, own: 3 },
};
/** The same as a prefill leg, without the handoff. */
const PREFILL: Record<InferenceApi, JsonObject> = {
  completions: {
    model: 'm',
    prompt: 'x',
    max_tokens: 1,
    min_tokens: 1,
    logprobs: 1,
    prompt_logprobs: 1,
    own: { a: 1 },
    stream: false,
  },
  chat: {
    messages: [{ role: 'user', content: 'x' }],
    max_tokens: 1,
    max_completion_tokens: 1,
    logprobs: true,
    n: 1,
    own: [null],
    stream: false,
  },
  generate: {
    token_ids: [1, 2],
    sampling_params: { max_tokens: 1, logprobs: 1, prompt_logprobs: 1, own: 2 },
    own: 3,
    stream: false,
  },
};
/** The same as a decode leg, without the handoff and what a stream adds. */
const DECODE: Record<InferenceApi, JsonObject> = {
  completions: { model: 'm', prompt: 'x', max_tokens: 9, min_tokens: 2, logprobs: 1, own: { a: 1 } },
  chat: CLIENT.chat,
  generate: { token_ids: [1, 2], sampling_params: { max_tokens: 9, logprobs: 1, own: 2 }, own: 3 },
};
const STREAM = { stream: true, stream_options: { include_usage: true } };
const CASES = (['completions', 'chat', 'generate'] as const).flatMap((api) => [
  { api, more: {}, stream: false },
  { api, more: STREAM, stream: true },
]);

it('waits for P, whose answer may be all, and holds nothing', async () => {
  expect(connector.contract).toEqual({
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: true,
    cancellation: serialPlan({ prefilling: 'close', gap: 'nothing', transferring: 'close' }),
  });
  expect(await lastValueFrom(connector.release())).toBe('freed');
});

describe.each(CASES)('the legs of $api, stream: $stream', ({ api, more, stream }) => {
  const request = inferenceRequest(api, { ...CLIENT[api], ...more });

  it('P reads the prompt, and nothing is said of the KV', () => {
    const leg = connector.prefillLeg(request);
    expect(leg.body).toEqual(PREFILL[api]);
    expect(leg).toMatchObject({ api, stream: false, isLeg: true });
  });

  it('D gets the body of the client', () => {
    expect(connector.handoffOf()).toEqual({ params: {} });
    const leg = connector.decodeLeg(request);
    expect(leg.body).toEqual({ ...DECODE[api], ...more });
    expect(leg).toMatchObject({ api, stream, isLeg: true });
  });
});
