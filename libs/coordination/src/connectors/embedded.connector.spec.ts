import { inferenceRequest, type InferenceApi, type JsonObject } from '@baton/inference';
import {
  AddressList,
  ConnectorMismatchError,
  parseEndpoint,
  RemoteClient,
  type Endpoint,
  type LegSite,
} from '@baton/remotes';
import { afterAll, afterEach, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EMPTY, lastValueFrom } from 'rxjs';
import { serialPlan } from './cancellation.js';
import { EmbeddedKvConnector } from './embedded.connector.js';
import type { ReleaseMeans } from './kv-connector.js';
import { sideChannelOf } from './side-channel-of.js';

const client = new RemoteClient({ headTimeoutMs: 50 });
afterAll(() => client.close());
const connector = new EmbeddedKvConnector(client, {});
const FROM_P = {
  kv_connector: 'embedded',
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

const ASKED = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_request_id: null,
  remote_host: null,
  remote_port: null,
};
const CASES = BODIES.flatMap(([api, { stream: _, stream_options: __, ...body }]) => [
  { api, body, more: {}, stream: false },
  { api, body, more: { stream: true, stream_options: { include_usage: true } }, stream: true },
]);

it('waits for P, and frees what nobody took', () => {
  expect(connector.contract).toEqual({
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: false,
    leaseMs: 30_000,
    cancellation: serialPlan({ prefilling: 'await_answer', gap: 'release', transferring: 'close' }),
  });
});

describe.each(CASES)('the legs of $api, stream: $stream', ({ api, body, more, stream }) => {
  const request = inferenceRequest(api, { ...body, ...more });

  it('prefill asks for a handoff, one token, no stream', () => {
    const leg = connector.prefillLeg(request);
    const expected: Record<InferenceApi, JsonObject> = {
      completions: { prompt: 'x', max_tokens: 1 },
      chat: { messages: [{ role: 'user', content: 'x' }], max_tokens: 1, max_completion_tokens: 1 },
      generate: {
        token_ids: [1, 2, 3],
        sampling_params: { max_tokens: 1, extra_args: { kv_transfer_params: ASKED } },
      },
    };
    expect(leg.body).toEqual({ ...expected[api], stream: false, kv_transfer_params: ASKED });
    expect(leg).toMatchObject({ api, stream: false, isLeg: true });
    expect(leg.id).not.toBe(request.id);
    expect(leg.valve).toBe(request.valve);
  });

  it('decode is the request of the client again, with the handoff verbatim; so is the rescue on P', () => {
    const leg = connector.decodeLeg(request, { params: FROM_P });
    const sampling_params = { max_tokens: 50, min_tokens: 3, extra_args: { kv_transfer_params: FROM_P } };
    expect(leg.body).toEqual({
      ...body,
      ...more,
      kv_transfer_params: FROM_P,
      ...(api === 'generate' ? { sampling_params } : {}),
    });
    expect(leg).toMatchObject({ api, stream, isLeg: true });
    const rescue = connector.rescueLeg(request, { params: FROM_P });
    expect(rescue.body).toEqual(leg.body);
    expect(rescue.id).not.toBe(leg.id);
  });

  it('decode without a handoff is the plain request, still marked as a leg', () => {
    const leg = connector.decodeLeg(request, undefined);
    expect(leg.body).toEqual({ ...body, ...more });
    expect(leg.isLeg).toBe(true);
  });
});

it('leaves the echo to D, which reads it from the prompt as well as P', () => {
  const request = inferenceRequest('completions', { prompt: [1, 2], echo: true });
  expect(connector.prefillLeg(request).body).toEqual({
    prompt: [1, 2],
    max_tokens: 1,
    stream: false,
    kv_transfer_params: ASKED,
  });
  expect(connector.decodeLeg(request, undefined).body).toEqual({ prompt: [1, 2], echo: true });
  expect(connector.shareOf(request, { usage: { prompt_tokens: 2 }, choices: [{ text: 'x' }] })).toEqual({
    usage: { prompt_tokens: 2 },
  });
});

describe('handoffOf', () => {
  it('keeps what P said, also what nobody here knows', () => {
    expect(connector.handoffOf({ id: 'a', kv_transfer_params: FROM_P })?.params).toEqual(FROM_P);
  });

  it.each([
    ['nixl', (({ kv_connector: _, ...unnamed }) => unnamed)(FROM_P)],
    ['other', { ...FROM_P, kv_connector: 'other' }],
  ])('refuses what is for connector %s', (name, params) => {
    const read = (): unknown => connector.handoffOf({ kv_transfer_params: params });
    expect(read).toThrow(ConnectorMismatchError);
    expect(read).toThrow(
      `The prefill instance handed over for connector ${name}, but the configured connector is embedded.`,
    );
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

const servers: Server[] = [];

afterEach(() => {
  jest.restoreAllMocks();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

describe('assertTakes', () => {
  const check = (endpoint: Endpoint | undefined, by = new EmbeddedKvConnector(client, {})): Promise<unknown> =>
    lastValueFrom(by.assertTakes({ endpoint, run: () => EMPTY }), { defaultValue: 'takes' });

  async function infoServer(status: number, body: string): Promise<{ endpoint: Endpoint; asked: string[] }> {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
    return { endpoint: parseEndpoint(`http://127.0.0.1:${await listening(server)}`), asked };
  }

  it('passes an instance that lists the connector, and asks it again after 30 s', async () => {
    const { endpoint, asked } = await infoServer(200, '{"connectors":["embedded","nixl"]}');
    const own = new EmbeddedKvConnector(client, {});
    expect(await check(endpoint, own)).toBe('takes');
    expect(await check(endpoint, own)).toBe('takes');
    expect(asked).toEqual(['GET /baton/v1/info']);
    const now = performance.now();
    jest.spyOn(performance, 'now').mockReturnValue(now + 30_001);
    expect(await check(endpoint, own)).toBe('takes');
    expect(asked).toHaveLength(2);
  });

  it.each([
    ['lists others', 200, '{"connectors":["nixl"]}'],
    ['lists none', 200, '{"connectors":[]}'],
    ['says something else', 200, '{}'],
    ['answers no JSON', 200, '<html>'],
    ["does not know the question, in the field's words", 404, '{"error":{"message":"Not Found","code":404}}'],
    ['does not know the question, in its own words', 404, '{"detail":"Not Found"}'],
  ])('refuses a server that %s, also the second time', async (_what, status, body) => {
    const { endpoint, asked } = await infoServer(status, body);
    const own = new EmbeddedKvConnector(client, {});
    await expect(check(endpoint, own)).rejects.toThrow(ConnectorMismatchError);
    await expect(check(endpoint, own)).rejects.toThrow(
      `Endpoint ${endpoint.name} does not take handoffs of connector embedded`,
    );
    expect(asked).toHaveLength(1);
  });

  it.each([
    ['cannot be reached', undefined, 'connect'],
    ['fails', 500, 'failed'],
    ['is busy', 503, 'busy'],
  ])('lets the failure of a server that %s go on, and asks again', async (_what, status, reason) => {
    const { endpoint, asked } = await infoServer(status ?? 200, '{}');
    if (status === undefined) await new Promise((closed) => servers.splice(0)[0]?.close(closed));
    const own = new EmbeddedKvConnector(client, {});
    await expect(check(endpoint, own)).rejects.toMatchObject({ reason });
    await expect(check(endpoint, own)).rejects.toMatchObject({ reason });
    expect(asked).toHaveLength(status === undefined ? 0 : 2);
  });

  it("passes this instance's own engine unasked", async () => {
    expect(await check(undefined)).toBe('takes');
  });
});

const siteAt = (url: string | undefined): LegSite => ({
  endpoint: url === undefined ? undefined : parseEndpoint(url),
  run: () => EMPTY,
});
const OWN_ENGINE = siteAt(undefined);
const meansOf = (prefill: LegSite | undefined): ReleaseMeans => ({
  request: inferenceRequest('chat', {}),
  ...(prefill === undefined ? {} : { prefill }),
  decode: () => EMPTY,
});

describe('release', () => {
  async function releaseAt(
    answer: (response: ServerResponse) => unknown,
  ): Promise<{ outcome: unknown; seen: string[] }> {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      answer(response);
    });
    const handoff = { params: { ...FROM_P, remote_port: await listening(server) } };
    const release = connector.release(handoff, meansOf(OWN_ENGINE));
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

  it('asks no address that an answer made up', async () => {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(String(request.url));
      response.writeHead(204).end();
    });
    const port = await listening(server);
    const outcome = (
      params: JsonObject,
      prefill: LegSite | undefined,
      kvPeers: readonly string[] = [],
    ): Promise<unknown> =>
      lastValueFrom(new EmbeddedKvConnector(client, { kvPeers }).release({ params }, meansOf(prefill)));
    const there = { ...FROM_P, remote_port: port };
    expect(await outcome(there, siteAt('http://10.0.0.7:8100'))).toBe('unknown');
    expect(await outcome(there, undefined)).toBe('unknown');
    expect(await outcome(there, siteAt('http://10.0.0.7:8100'), [`127.0.0.1:${port + 1}`])).toBe('unknown');
    expect(await outcome({ ...FROM_P, remote_host: null, remote_port: null }, OWN_ENGINE)).toBe('unknown');
    expect(await outcome({ ...FROM_P, remote_host: 'a/b', remote_port: 1 }, OWN_ENGINE)).toBe('unknown');
    expect(seen).toEqual([]);

    expect(await outcome(there, siteAt('http://127.0.0.1:8100'))).toBe('freed');
    expect(await outcome(there, siteAt('http://10.0.0.7:8100'), [`127.0.0.1:${port}`])).toBe('freed');
    expect(await outcome(there, siteAt('http://10.0.0.7:8100'), ['127.0.0.1:*'])).toBe('freed');
    expect(seen).toHaveLength(3);
  });

  it('shows its key to side channels on the list, and the endpoint its own', () => {
    const channels = { peers: new AddressList(['10.0.0.9:7']), apiKey: 'key-for-peers' };
    const endpoint = parseEndpoint({ url: 'http://10.0.0.7:8100', apiKey: 'key-of-p' });
    const site: LegSite = { endpoint, run: () => EMPTY };
    const keyFor = (host: string, port: number) =>
      sideChannelOf({ remote_host: host, remote_port: port }, site, channels)?.apiKey;
    expect(keyFor('10.0.0.9', 7)).toBe('key-for-peers');
    expect(keyFor('10.0.0.7', 7)).toBe('key-of-p');
    expect(sideChannelOf({ remote_host: '10.0.0.9', remote_port: 8 }, site, channels)).toBeUndefined();
    const own = { ...channels, ownApiKey: 'key-of-this-process' };
    expect(sideChannelOf({ remote_host: '10.0.0.1', remote_port: 7 }, OWN_ENGINE, own)?.apiKey).toBe(own.ownApiKey);
    expect(sideChannelOf({ remote_host: '10.0.0.9', remote_port: 7 }, site, own)?.apiKey).toBe('key-for-peers');
  });

  it('reads an address of IPv6 with and without brackets', () => {
    for (const host of ['::1', '[::1]']) {
      expect(
        sideChannelOf({ remote_host: host, remote_port: 5 }, OWN_ENGINE, { peers: new AddressList() }),
      ).toMatchObject({
        origin: 'http://[::1]:5',
      });
    }
  });
});
