import { inferenceRequest, type ResponsePart } from '@baton/inference';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { parseEndpoint } from '../endpoint.js';
import { NetworkPolicy } from '../outbound/network-policy.js';
import { AbortCalls } from './abort-calls.js';
import { RemoteClient, type RemoteClientOptions } from './remote-client.js';

const ANSWER = JSON.stringify({ choices: [{ index: 0, text: 'a', finish_reason: 'stop' }] });
const PROXY_SETTINGS = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'];

let server: Server;
let seen: IncomingMessage[];
let canary: Server;
let canaryConnections: number;
let location: string | undefined;
const clients: RemoteClient[] = [];

beforeEach(async () => {
  seen = [];
  canaryConnections = 0;
  location = undefined;
  server = createServer((request, response) => {
    seen.push(request);
    request.resume();
    if (location === undefined) response.setHeader('content-type', 'application/json').end(ANSWER);
    else response.writeHead(307, { location }).end();
  });
  canary = createServer((_request, response) => response.end(ANSWER));
  canary.on('connection', () => (canaryConnections += 1));
  for (const each of [server, canary]) await once(each.listen(0, '127.0.0.1'), 'listening');
});

afterEach(async () => {
  for (const name of PROXY_SETTINGS) Reflect.deleteProperty(process.env, name);
  await Promise.all(clients.splice(0).map((client) => client.close()));
  for (const each of [server, canary]) {
    each.closeAllConnections();
    each.close();
  }
});

const originOf = (of: Server, host = '127.0.0.1'): string => `http://${host}:${(of.address() as AddressInfo).port}`;

async function run(origin: string, options: RemoteClientOptions = {}): Promise<ResponsePart> {
  const client = new RemoteClient(options);
  clients.push(client);
  const request = inferenceRequest('completions', { prompt: 'a' }, { hops: 1, headers: { 'X-Request-ID': 'x' } });
  return lastValueFrom(client.run(parseEndpoint(origin), request));
}

describe('what RemoteClient dials', () => {
  const REFUSED = { code: 'remote_connect', status: 502, cause: { code: 'ERR_ADDRESS_NOT_ALLOWED' } };

  it.each(['169.254.169.254', '[::ffff:a9fe:a9fe]', '0.0.0.0', '[fd00:ec2::254]'])('is not %s', async (host) => {
    await expect(run(originOf(server, host))).rejects.toMatchObject(REFUSED);
    expect(seen).toEqual([]);
  });

  it('is an address of that kind when the configuration has it', async () => {
    expect(await run(originOf(server, '0.0.0.0'), { configuredHosts: ['0.0.0.0'] })).toHaveProperty('kind', 'bytes');
  });

  it('is in the networks that are named', async () => {
    await expect(run(originOf(server), { allowedNetworks: ['10.0.0.0/8'] })).rejects.toMatchObject(REFUSED);
    await expect(run(originOf(server, 'localhost'), { allowedNetworks: ['10.0.0.0/8'] })).rejects.toMatchObject(
      REFUSED,
    );
    expect(seen).toEqual([]);
    expect(await run(originOf(server), { allowedNetworks: ['127.0.0.0/8'] })).toHaveProperty('kind', 'bytes');
  });

  it('is no proxy of the environment', async () => {
    for (const name of PROXY_SETTINGS) process.env[name] = originOf(canary);
    await run(originOf(server));
    const aborts = new AbortCalls();
    aborts.send(parseEndpoint(originOf(server)), { path: '/abort', body: {} });
    await aborts.settled();
    expect(seen.map(({ url }) => url)).toEqual(['/v1/completions', '/abort']);
    expect(canaryConnections).toBe(0);
  });

  it.each(['absolute', 'of another scheme'])('is not where a redirect leads (%s)', async (kind) => {
    location =
      kind === 'absolute' ? `${originOf(canary)}/v1/completions` : `//127.0.0.1:${originOf(canary).split(':')[2]}/`;
    await expect(run(originOf(server))).rejects.toMatchObject({ status: 502, code: 'remote_refused' });
    expect([seen.length, canaryConnections]).toEqual([1, 0]);
  });

  it('is told each header once, and that it is one hop further', async () => {
    await run(originOf(server));
    const names = seen[0]?.rawHeaders.filter((_name, index) => index % 2 === 0).map((name) => name.toLowerCase()) ?? [];
    expect(names.length).toBe(new Set(names).size);
    expect(seen[0]?.headers['x-baton-hops']).toBe('2');
    expect(seen[0]?.headers['x-request-id']).not.toBe('x');
  });
});

describe('whom AbortCalls tell', () => {
  const call = { path: '/abort', body: {} };

  it.each([
    ['a literal', '127.0.0.1'],
    ['a name', 'localhost'],
  ])('is nobody outside of the networks that are named (%s)', async (_what, host) => {
    const aborts = new AbortCalls(500, new NetworkPolicy({ allowedNetworks: ['10.0.0.0/8'] }));
    aborts.send(parseEndpoint(originOf(canary, host)), call);
    await aborts.settled();
    expect(canaryConnections).toBe(0);
  });

  it('is whoever is inside', async () => {
    const aborts = new AbortCalls(500, new NetworkPolicy({ allowedNetworks: ['127.0.0.0/8', '::1/128'] }));
    aborts.send(parseEndpoint(originOf(canary, 'localhost')), call);
    await aborts.settled();
    expect(canaryConnections).toBe(1);
  });
});
