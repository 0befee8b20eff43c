import { inferenceRequest, type InferenceApi, type JsonObject } from '@baton/inference';
import { parseEndpoint, type LegSite } from '@baton/remotes';
import { describe, expect, it } from '@jest/globals';
import { EMPTY, lastValueFrom, NEVER, of } from 'rxjs';
import { OffloadingP2pKvConnector } from './offloading-p2p.connector.js';

const connector = new OffloadingP2pKvConnector();
const AGREED = { kv_request_id: 'k1', remote_host: '10.0.0.7', remote_port: 5710 };

/** What a client sends, the same as a prefill leg, and as a decode leg. */
const BODIES: Record<InferenceApi, { client: JsonObject; prefill: JsonObject; decode: JsonObject }> = {
  completions: {
    client: { prompt: 'x', max_tokens: 9, min_tokens: 2, logprobs: 1, prompt_logprobs: 1, own: { a: 1 } },
    prefill: { prompt: 'x', max_tokens: 1, prompt_logprobs: 1, own: { a: 1 }, stream: false },
    decode: { prompt: 'x', max_tokens: 9, min_tokens: 2, logprobs: 1, own: { a: 1 } },
  },
  chat: {
    client: { messages: [{ role: 'user', content: 'x' }], max_completion_tokens: 9, n: 1 },
    prefill: {
      messages: [{ role: 'user', content: 'x' }],
      max_completion_tokens: 1,
      max_tokens: 1,
      n: 1,
      stream: false,
    },
    decode: { messages: [{ role: 'user', content: 'x' }], max_completion_tokens: 9, n: 1 },
  },
  generate: {
    client: { token_ids: [1, 2], sampling_params: { max_tokens: 9, extra_args: { other: 1 } } },
    prefill: { token_ids: [1, 2], sampling_params: { max_tokens: 1, extra_args: { other: 1 } }, stream: false },
    decode: { token_ids: [1, 2], sampling_params: { max_tokens: 9, extra_args: { other: 1 } } },
  },
};

/** `body` with `params` in every place of the api. */
function withParams(api: InferenceApi, body: JsonObject, params: JsonObject): JsonObject {
  if (api !== 'generate') return { ...body, kv_transfer_params: params };
  const sampling = body['sampling_params'] as JsonObject;
  const extra = { ...(sampling['extra_args'] as JsonObject), kv_transfer_params: params };
  return { ...body, kv_transfer_params: params, sampling_params: { ...sampling, extra_args: extra } };
}

describe.each(['completions', 'chat', 'generate'] as const)('the legs of %s', (api) => {
  const stream = { stream: true, stream_options: { include_usage: true } };
  const { client, prefill, decode } = BODIES[api];
  const request = inferenceRequest(api, { ...client, ...stream });

  it('P stores the blocks under the id', () => {
    const leg = connector.prefillLeg(request, AGREED);
    expect(leg.body).toEqual(withParams(api, prefill, { remote_decoder: { kv_request_id: 'k1' } }));
    expect(leg).toMatchObject({ stream: false, isLeg: true });
  });

  it('D is told where to ask for them, and has the values of the client otherwise', () => {
    const leg = connector.decodeLeg(request, connector.handoffOf(undefined, AGREED));
    expect(leg.body).toEqual({ ...withParams(api, decode, { remote_prefiller: AGREED }), ...stream });
  });
});

describe('rendezvous', () => {
  const site = (kvAddress?: string): LegSite => ({
    endpoint: parseEndpoint({ url: 'http://10.0.0.7:8000', kvAddress }),
    run: () => EMPTY,
  });
  const agree = (prefill: LegSite): Promise<JsonObject> =>
    lastValueFrom(connector.rendezvous(inferenceRequest('chat', {}), { prefill, decode: undefined }));

  it('is a fresh id and the side channel of P', async () => {
    const [one, other] = await Promise.all([agree(site()), agree(site('10.1.0.7:7777'))]);
    expect(one).toMatchObject({ remote_host: '10.0.0.7', remote_port: 5710 });
    expect(other).toMatchObject({ remote_host: '10.1.0.7', remote_port: 7777 });
    expect(one['kv_request_id']).not.toBe(other['kv_request_id']);
  });

  it('needs an engine server', async () => {
    await expect(agree({ endpoint: undefined, run: () => NEVER })).rejects.toMatchObject({
      code: 'kv_address_required',
    });
  });
});

it('is released by a D that is sent for one token', async () => {
  const sent: JsonObject[] = [];
  const request = inferenceRequest('completions', { prompt: 'x', max_tokens: 9, stream: true });
  const means = { request, decode: ({ body }: { body: JsonObject }) => (sent.push(body), of('part')) };
  expect(await lastValueFrom(connector.release(connector.handoffOf(undefined, AGREED), means))).toBe('freed');
  expect(sent).toEqual([
    { prompt: 'x', max_tokens: 1, stream: false, kv_transfer_params: { remote_prefiller: AGREED } },
  ]);
});
