import type { Engine } from '@baton/engines';
import { jsonPart, type InferenceRequest } from '@baton/inference';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { pino } from 'pino';
import { of } from 'rxjs';
import { createInstance } from '../bootstrap.js';
import { loadConfig } from '../config/load-config.js';

const CLIENT = 'the-key-of-a-client';
const PEER = 'the-key-of-a-peer';
const ADMIN = 'the-key-of-an-admin';
const WRONG = 'the-key-of-nobody';

const calls: InferenceRequest[] = [];
const engine: Engine = {
  start: async () => undefined,
  stop: async () => undefined,
  run: (request) => {
    calls.push(request);
    return of(jsonPart({ id: request.id }));
  },
  check: () => undefined,
  models: async () => [],
  tokenize: async () => ({}),
  detokenize: async () => ({}),
  connectors: [],
  render: async () => ({}),
  derender: async () => ({}),
  health: async () => ({ ready: true }),
  metrics: () => [],
};

const ALL = {
  BATON_SECURITY_CLIENT_KEYS: `shop:${CLIENT}`,
  BATON_SECURITY_PEER_KEYS: `lb:${PEER}`,
  BATON_SECURITY_ADMIN_KEYS: `ops:${ADMIN}`,
};
const { BATON_SECURITY_CLIENT_KEYS: _clients, ...PEERS } = ALL;

let app: NestFastifyApplication | undefined;
const lines: string[] = [];

async function start(env: Readonly<Record<string, string>>): Promise<void> {
  lines.length = 0;
  calls.length = 0;
  const logger = pino({ base: undefined }, { write: (line: string) => void lines.push(line) });
  app = await createInstance(loadConfig({ env: { ...env, BATON_PLUGIN_DIRECTORIES: '' } }), { engine, logger });
  await app.init();
}
afterEach(() => app?.close());

async function ask(
  key: string | undefined,
  url: string,
  headers: Readonly<Record<string, string>> = {},
  method: 'GET' | 'POST' = 'GET',
): Promise<{ status: number; code: unknown; challenge: unknown }> {
  if (app === undefined) throw new Error('It is not started.');
  const authorization = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const payload = method === 'POST' ? { payload: { prompt: 'a' } } : {};
  const answer = await app.inject({ method, url, headers: { ...authorization, ...headers }, ...payload });
  const body: unknown = answer.headers['content-type']?.toString().includes('json') ? answer.json() : {};
  const { error } = body as { error?: { code: unknown } };
  return { status: answer.statusCode, code: error?.code, challenge: answer.headers['www-authenticate'] };
}

async function statuses(url: string): Promise<number[]> {
  const all: number[] = [];
  for (const key of [undefined, WRONG, CLIENT, PEER, ADMIN]) all.push((await ask(key, url)).status);
  return all;
}

describe('with keys of clients', () => {
  it.each([
    ['/health/live', [200, 200, 200, 200, 200]],
    ['/health/ready', [200, 200, 200, 200, 200]],
    ['/v1/models', [401, 401, 200, 200, 200]],
    ['/openapi.json', [401, 401, 200, 200, 200]],
    ['/docs', [401, 401, 200, 200, 200]],
    ['/metrics', [401, 401, 403, 200, 200]],
    ['/baton/v1/info', [401, 401, 403, 200, 200]],
    ['/admin/config', [401, 401, 403, 403, 200]],
    ['/nothing', [401, 401, 404, 404, 404]],
    ['/v1/completions', [401, 401, 405, 405, 405]],
    ['/%6detrics', [401, 401, 403, 200, 200]],
    ['//metrics', [401, 401, 404, 404, 404]],
    ['/metrics/', [401, 401, 404, 404, 404]],
    ['/METRICS', [401, 401, 404, 404, 404]],
    ['/admin/config;a', [401, 401, 404, 404, 404]],
  ])('%s answers nobody, a wrong key, a client, a peer, an operator: %j', async (url, expected) => {
    await start(ALL);
    expect(await statuses(url)).toEqual(expected);
  });

  it('tells how to authenticate, before it reads a body', async () => {
    await start(ALL);
    const broken = { 'content-type': 'application/json', 'content-length': '100000000000' };
    const refused = { status: 401, code: 'invalid_api_key', challenge: 'Bearer' };
    expect(await ask(undefined, '/v1/completions', broken, 'POST')).toEqual(refused);
    expect(await ask(WRONG, '/v1/completions', {}, 'POST')).toEqual(refused);
    expect((await ask(CLIENT, '/admin/config')).code).toBe('admin_only');
    expect((await ask(CLIENT, '/metrics')).code).toBe('peers_only');
  });

  it('takes x-api-key, and tells the engine and the log who asked', async () => {
    await start(ALL);
    expect((await ask(undefined, '/v1/completions', { 'x-api-key': CLIENT }, 'POST')).status).toBe(200);
    expect(calls.map(({ caller }) => caller)).toEqual([{ trust: 'client', label: 'shop' }]);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toContainEqual(
      expect.objectContaining({ caller: 'shop' }),
    );
    expect(lines.join('')).not.toContain(CLIENT);
  });
});

describe('without keys of clients', () => {
  it('takes any key for none, but not from another instance', async () => {
    await start(PEERS);
    expect(await statuses('/v1/models')).toEqual([200, 200, 200, 200, 200]);
    expect(await statuses('/metrics')).toEqual([401, 401, 401, 200, 200]);
    expect((await ask(WRONG, '/v1/models', { 'x-baton-hops': '1' })).status).toBe(401);
    expect((await ask(undefined, '/v1/models', { 'x-baton-hops': '1' })).status).toBe(200);
  });

  it('is open to all when there are no keys at all, and has no admin routes', async () => {
    await start({});
    expect(await statuses('/metrics')).toEqual([200, 200, 200, 200, 200]);
    expect(await statuses('/baton/v1/info')).toEqual([200, 200, 200, 200, 200]);
    expect(await statuses('/admin/config')).toEqual([404, 404, 404, 404, 404]);
    expect((await ask(ADMIN, '/admin/drain', {}, 'POST')).status).toBe(404);
  });

  it('is closed where callers without a key are refused', async () => {
    await start({ ...PEERS, BATON_SECURITY_KEYLESS: 'refuse' });
    expect(await statuses('/v1/models')).toEqual([401, 401, 401, 200, 200]);
  });
});

describe('callers without a key', () => {
  it.each([
    ['client', 401],
    ['peer', 200],
  ])('are a %s when that is configured', async (keyless, metrics) => {
    await start({ ...ALL, BATON_SECURITY_KEYLESS: keyless });
    expect((await ask(undefined, '/v1/completions', {}, 'POST')).status).toBe(200);
    expect(calls[0]?.caller).toEqual({ trust: keyless, label: 'anonymous' });
    expect((await ask(undefined, '/metrics')).status).toBe(metrics);
    expect((await ask(WRONG, '/v1/models')).status).toBe(401);
  });
});

describe('an operator', () => {
  it('drains the instance', async () => {
    await start(ALL);
    expect((await ask(PEER, '/admin/drain', {}, 'POST')).code).toBe('admin_only');
    expect((await ask(undefined, '/health/ready')).status).toBe(200);
    expect((await ask(ADMIN, '/admin/drain', {}, 'POST')).status).toBe(202);
    expect((await ask(ADMIN, '/admin/drain', {}, 'POST')).status).toBe(202);
    expect((await ask(undefined, '/health/ready')).status).toBe(503);
    expect((await ask(CLIENT, '/v1/completions', {}, 'POST')).status).toBe(503);
    expect((await ask(ADMIN, '/admin/config')).status).toBe(200);
  });

  it('sees the configuration without secrets', async () => {
    await start({ ...ALL, BATON_KV_API_KEY: 'another-secret-of-mine' });
    const answer = await app?.inject({ url: '/admin/config', headers: { authorization: `Bearer ${ADMIN}` } });
    expect(answer?.json()).toMatchObject({
      security: { clientKeys: [{ label: 'shop', key: '***' }], keyless: 'auto' },
      kv: { apiKey: '***' },
    });
    for (const secret of [CLIENT, PEER, ADMIN, 'another-secret']) expect(answer?.body).not.toContain(secret);
  });

  it.each([
    ['POST', '/admin/drain', '{"a":', 400],
    ['GET', '/admin/drain', undefined, 405],
    ['POST', '/admin/config', '{}', 405],
    ['GET', '/admin/nothing', undefined, 404],
  ] as const)('is told what is wrong with %s %s', async (method, url, payload, status) => {
    await start(ALL);
    const headers = { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' };
    const answer = await app?.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) });
    expect(answer?.statusCode).toBe(status);
    expect(answer?.json()).toHaveProperty('error.message');
  });
});
