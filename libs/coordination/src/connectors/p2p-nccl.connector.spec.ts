import { inferenceRequest, type InferenceApi, type JsonObject } from '@baton/inference';
import { parseEndpoint, type LegSite } from '@baton/remotes';
import { describe, expect, it } from '@jest/globals';
import { EMPTY, lastValueFrom } from 'rxjs';
import { concurrentPlan } from './cancellation.js';
import { P2pNcclKvConnector } from './p2p-nccl.connector.js';

const connector = new P2pNcclKvConnector();
const ID = '___prefill_addr_10.0.0.7:21001___decode_addr_10.0.0.9:22001_00112233445566778899aabbccddeeff';
const AGREED = { request_id: ID };

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
  completions: { model: 'm', prompt: 'x', max_tokens: 1, prompt_logprobs: 1, own: { a: 1 }, stream: false },
  chat: {
    messages: [{ role: 'user', content: 'x' }],
    max_tokens: 1,
    max_completion_tokens: 1,
    n: 1,
    own: [null],
    stream: false,
  },
  generate: {
    token_ids: [1, 2],
    sampling_params: { max_tokens: 1, prompt_logprobs: 1, own: 2 },
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

it('sends both legs at once, and finishes a transfer under way', async () => {
  expect(connector.contract).toEqual({
    order: 'concurrent',
    decoder: 'first',
    prefillMayAnswer: false,
    cancellation: concurrentPlan({ gap: 'nothing' }),
  });
  expect(await lastValueFrom(connector.release())).toBe('unknown');
});

describe.each(CASES)('the legs of $api, stream: $stream', ({ api, more, stream }) => {
  const request = inferenceRequest(api, { ...CLIENT[api], ...more });

  it('P has the id that names both, and no params', () => {
    const leg = connector.prefillLeg(request, AGREED);
    expect(leg.body).toEqual(PREFILL[api]);
    expect(leg).toMatchObject({ id: ID, api, stream: false, isLeg: true });
  });

  it('D has the same', () => {
    const handoff = connector.handoffOf(undefined, AGREED);
    const leg = connector.decodeLeg(request, handoff);
    expect(leg.body).toEqual({ ...DECODE[api], ...more });
    expect(leg).toMatchObject({ id: ID, api, stream, isLeg: true });
  });

  it('D without a handoff has an id of its own', () => {
    expect(connector.decodeLeg(request, undefined).id).toMatch(new RegExp(`^${request.key}-`));
  });
});

describe('rendezvous', () => {
  const siteOf = (url: string | undefined, kvAddress?: string): LegSite => ({
    endpoint: url === undefined ? undefined : parseEndpoint({ url, ...(kvAddress ? { kvAddress } : {}) }),
    run: () => EMPTY,
  });
  const prefill = siteOf('http://10.0.0.7:8000', '10.0.0.7:21001');
  const decode = siteOf('http://10.0.0.9:8000', '10.0.0.9:22001');
  const agree = (sites: { prefill: LegSite; decode: LegSite | undefined }): Promise<JsonObject> =>
    lastValueFrom(connector.rendezvous(inferenceRequest('chat', CLIENT.chat), sites));

  it('is an id with both addresses, a new one each time', async () => {
    const ids = await Promise.all([agree({ prefill, decode }), agree({ prefill, decode })]);
    for (const { request_id: id } of ids) {
      expect(id).toMatch(/^___prefill_addr_10\.0\.0\.7:21001___decode_addr_10\.0\.0\.9:22001_[0-9a-f]{32}$/);
    }
    expect(ids[0]).not.toEqual(ids[1]);
  });

  it('names the side whose address is not configured', async () => {
    const bare = siteOf('http://10.0.0.9:8000');
    await expect(agree({ prefill, decode: bare })).rejects.toMatchObject({
      status: 500,
      code: 'kv_address_required',
      message: expect.stringContaining('10.0.0.9:8000'),
    });
    await expect(agree({ prefill: siteOf(undefined), decode })).rejects.toThrow(/this instance/);
    await expect(agree({ prefill, decode: undefined })).rejects.toThrow(/KV address/);
  });
});
