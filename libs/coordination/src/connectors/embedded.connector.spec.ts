import { inferenceRequest, type InferenceApi } from '@baton/inference';
import { RemoteClient } from '@baton/remotes';
import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { EmbeddedKvConnector } from './embedded.connector.js';

const client = new RemoteClient({ headTimeoutMs: 50 });
const connector = new EmbeddedKvConnector(client);
const FROM_P = {
  do_remote_prefill: true,
  do_remote_decode: false,
  remote_engine_id: 'e-1',
  remote_request_id: 'h/1?x',
  remote_host: '127.0.0.1',
  remote_port: 1,
  remote_num_tokens: 12,
  remote_blocks_expiry_time: 1795000000.25,
  a_field_of_tomorrow: { nested: [1, null] },
};

const BODIES: [InferenceApi, Record<string, unknown>][] = [
  [
    'completions',
    { prompt: 'x', max_tokens: 50, stream: true, stream_options: { include_usage: true }, min_tokens: 3 },
  ],
  [
    'chat',
    {
      messages: [{ role: 'user', content: 'x' }],
      max_completion_tokens: 50,
      stream: true,
      logprobs: true,
      top_logprobs: 2,
    },
  ],
  ['generate', { token_ids: [1, 2, 3], stream: true, sampling_params: { max_tokens: 50, min_tokens: 3 } }],
];

describe('the legs of', () => {
  it.each(BODIES)('%s: prefill asks for a handoff, one token, no stream', (api, body) => {
    const request = inferenceRequest(api, body);
    const leg = connector.prefillLeg(request);
    expect(leg).toMatchObject({ api, stream: false, isLeg: true });
    expect(leg.id).not.toBe(request.id);
    expect(leg.valve).toBe(request.valve);
    expect(leg.body['kv_transfer_params']).toEqual({
      do_remote_decode: true,
      do_remote_prefill: false,
      remote_engine_id: null,
      remote_request_id: null,
      remote_host: null,
      remote_port: null,
    });
    const limits = api === 'generate' ? leg.body['sampling_params'] : leg.body;
    expect(limits).toMatchObject({ max_tokens: 1 });
    expect(leg.body).not.toHaveProperty('stream_options');
  });

  it.each(BODIES)('%s: decode is the request of the client again, with the handoff verbatim', (api, body) => {
    const request = inferenceRequest(api, body);
    connector.prefillLeg(request);
    const leg = connector.decodeLeg(request, { params: FROM_P });
    expect(leg.body).toEqual({ ...body, kv_transfer_params: FROM_P });
    expect(leg).toMatchObject({ api, stream: true, isLeg: true });
    expect(request.body).toEqual(body);
  });

  it.each(BODIES)('%s: decode without a handoff is the plain request, still marked as a leg', (api, body) => {
    const leg = connector.decodeLeg(inferenceRequest(api, body), undefined);
    expect(leg.body).toEqual(body);
    expect(leg.isLeg).toBe(true);
  });
});

describe('handoffOf', () => {
  it('keeps what P said, also what nobody here knows', () => {
    expect(connector.handoffOf({ id: 'a', kv_transfer_params: FROM_P })?.params).toEqual(FROM_P);
  });

  it.each([
    {},
    { kv_transfer_params: null },
    { kv_transfer_params: {} },
    { kv_transfer_params: { do_remote_prefill: false } },
    { kv_transfer_params: { do_remote_prefill: 'true' } },
  ])('is none for %j', (answer) => {
    expect(connector.handoffOf(answer)).toBeUndefined();
  });
});

describe('release', () => {
  const servers: Server[] = [];

  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function releaseAt(
    answer: (response: ServerResponse) => unknown,
  ): Promise<{ outcome: unknown; seen: string[] }> {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      answer(response);
    });
    servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const release = connector.release({ params: { ...FROM_P, remote_port: (server.address() as AddressInfo).port } });
    expect(seen).toEqual([]); // cold
    return { outcome: await lastValueFrom(release), seen };
  }

  it('deletes the handoff at the side channel of P', async () => {
    const { outcome, seen } = await releaseAt((response) => response.writeHead(204).end());
    expect(outcome).toBe('freed');
    expect(seen).toEqual(['DELETE /kv/v1/handoffs/h%2F1%3Fx']);
  });

  it('is done when there is none any more', async () => {
    const gone = '{"error":{"message":"No such handoff.","type":"not_found_error","param":null,"code":null}}';
    expect((await releaseAt((response) => response.writeHead(404).end(gone))).outcome).toBe('freed');
  });

  it.each([
    ['fails', (response: ServerResponse) => response.writeHead(500).end()],
    ['closes the connection', (response: ServerResponse) => response.destroy()],
    ['does not answer in time', () => undefined],
  ])('is unknown when P %s', async (_what, answer) => {
    expect((await releaseAt(answer)).outcome).toBe('unknown');
  });

  it('throws on an address that is none, which the ledger books as unknown', () => {
    expect(() => connector.release({ params: { ...FROM_P, remote_host: null, remote_port: null } })).toThrow(
      'must be a URL',
    );
  });
});
