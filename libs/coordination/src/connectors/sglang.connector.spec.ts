import { inferenceRequest, type InferenceApi, type JsonObject } from '@baton/inference';
import { parseEndpoint, type LegSite } from '@baton/remotes';
import { describe, expect, it } from '@jest/globals';
import { EMPTY, lastValueFrom } from 'rxjs';
import { concurrentPlan } from './cancellation.js';
import { SglangKvConnector } from './sglang.connector.js';

const connector = new SglangKvConnector();
const AGREED = { bootstrap_host: '10.0.0.7', bootstrap_port: 8998, bootstrap_room: 4211837465012345 };

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
  completions: { ...CLIENT.completions, stream: false },
  chat: { ...CLIENT.chat, stream: false },
  generate: { ...CLIENT.generate, stream: false },
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

it('sends both legs at once, and finishes a transfer under way', () => {
  expect(connector.contract).toEqual({
    order: 'concurrent',
    decoder: 'first',
    prefillMayAnswer: false,
    leaseMs: 300_000,
    cancellation: concurrentPlan({ gap: 'nothing' }),
  });
});

describe.each(CASES)('the legs of $api, stream: $stream', ({ api, more, stream }) => {
  const own = { bootstrap_host: 'evil', bootstrap_port: 1, bootstrap_room: 7 };
  const request = inferenceRequest(api, { ...CLIENT[api], ...own, ...more });

  it('P gets the body of the client with its limits, whole, in our room', () => {
    const leg = connector.prefillLeg(request, AGREED);
    expect(leg.body).toEqual({ ...PREFILL[api], ...AGREED });
    expect(leg).toMatchObject({ api, stream: false, isLeg: true });
  });

  it('D gets the same in the same room', () => {
    const handoff = connector.handoffOf(undefined, AGREED);
    expect(handoff).toEqual({ params: AGREED });
    const leg = connector.decodeLeg(request, handoff);
    expect(leg.body).toEqual({ ...DECODE[api], ...more, ...AGREED });
    expect(leg).toMatchObject({ api, stream, isLeg: true });
  });
});

describe('rendezvous', () => {
  const agree = (endpoint: LegSite['endpoint']): Promise<JsonObject> =>
    lastValueFrom(
      connector.rendezvous(inferenceRequest('chat', CLIENT.chat), {
        prefill: { endpoint, run: () => EMPTY },
        decode: undefined,
      }),
    );

  it('is at P, at the default port unless configured otherwise', async () => {
    expect(await agree(parseEndpoint('http://10.0.0.7:30000'))).toMatchObject({
      bootstrap_host: '10.0.0.7',
      bootstrap_port: 8998,
    });
    const configured = parseEndpoint({ url: 'http://10.0.0.7:30000', kvAddress: 'p-kv:9001' });
    expect(await agree(configured)).toMatchObject({ bootstrap_host: 'p-kv', bootstrap_port: 9001 });
    await expect(agree(undefined)).rejects.toMatchObject({ code: 'kv_address_required' });
  });

  it('has a room of its own each time, which every JSON reader keeps', async () => {
    const rooms = new Set<unknown>();
    for (let i = 0; i < 200; i++) {
      const { bootstrap_room: room } = await agree(parseEndpoint('http://10.0.0.7'));
      expect(Number.isSafeInteger(room)).toBe(true);
      expect(room).toBeGreaterThan(0);
      rooms.add(room);
    }
    expect(rooms.size).toBe(200);
  });
});

it('has nothing to call that would free the KV', async () => {
  expect(await lastValueFrom(connector.release())).toBe('unknown');
});
