import { createConfig, lintFromString } from '@redocly/openapi-core';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCoordinator, type Coordinator } from './support/coordinator.js';
import { eventually } from './support/eventually.js';
import { InstanceProcess } from './support/instance-process.js';

const FIXTURES = fileURLToPath(new URL('./fixtures/plugins/', import.meta.url));
const KEYS = { client: 'c'.repeat(32), peer: 'p'.repeat(32), admin: 'a'.repeat(32), wrong: 'w'.repeat(32) };
const ALL_KEYS = {
  BATON_SECURITY_KEYLESS: 'auto',
  BATON_SECURITY_CLIENT_KEYS: `shop:${KEYS.client}`,
  BATON_SECURITY_PEER_KEYS: `lb:${KEYS.peer}`,
  BATON_SECURITY_ADMIN_KEYS: `ops:${KEYS.admin}`,
};

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Every admin route; a route that is added must be added here too. */
const ROUTES: readonly [Method, string][] = [
  ['DELETE', '/admin/plugins/{name}'],
  ['GET', '/admin/config'],
  ['GET', '/admin/plugins'],
  ['GET', '/admin/policies'],
  ['GET', '/admin/policies/history'],
  ['GET', '/admin/requests'],
  ['GET', '/admin/requests/{id}'],
  ['PATCH', '/admin/policies'],
  ['POST', '/admin/drain'],
  ['POST', '/admin/explain'],
  ['POST', '/admin/plugins'],
  ['POST', '/admin/policies/rollback'],
  ['PUT', '/admin/plugins/{name}'],
];
/** Those that look at a body. */
const WITH_BODY = ROUTES.filter(([method, path]) =>
  ['PATCH /admin/policies', 'POST /admin/explain', 'POST /admin/plugins', 'POST /admin/policies/rollback'].includes(
    `${method} ${path}`,
  ),
);

interface Answer {
  readonly status: number;
  readonly etag: string | null;
  readonly body: Record<string, unknown>;
  readonly error: { readonly message: string; readonly type: string; readonly code: unknown; readonly param: unknown };
}

interface Sent {
  readonly key?: string | undefined;
  /** Sent as JSON, or as it is when it is a text. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

async function send(url: string, method: Method, path: string, { key, body, headers }: Sent = {}): Promise<Answer> {
  const response = await fetch(url + path.replace(/\{\w+\}/, 'nobody'), {
    method,
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const parsed = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
  return {
    status: response.status,
    etag: response.headers.get('etag'),
    body: parsed,
    error: parsed['error'] as Answer['error'],
  };
}

describe('the admin routes', () => {
  let plugins: string;
  let coordinator: Coordinator;
  let url: string;
  const admin = (method: Method, path: string, sent: Omit<Sent, 'key'> = {}): Promise<Answer> =>
    send(url, method, path, { key: KEYS.admin, ...sent });

  beforeAll(async () => {
    plugins = await mkdtemp(join(tmpdir(), 'baton-plugins-'));
    coordinator = await startCoordinator({
      settings: {
        ...ALL_KEYS,
        BATON_PLUGIN_DIRECTORIES: plugins,
        BATON_PLUGINS: '{"@acme/later":{"token":"hunter2"}}',
        BATON_LOG_LEVEL: 'info',
      },
    });
    ({ url } = coordinator.instance);
  });
  afterAll(async () => {
    await coordinator.stop();
    await rm(plugins, { recursive: true, force: true });
  });

  const chat = async (headers: Readonly<Record<string, string>> = {}): Promise<Response> => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${KEYS.client}`, ...headers },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'the owl sings at noon' }], max_tokens: 4 }),
    });
    await response.text();
    return response;
  };

  describe.each(ROUTES)('%s %s', (method, path) => {
    it.each([
      ['no key', undefined, 401, 'invalid_api_key'],
      ['a wrong key', KEYS.wrong, 401, 'invalid_api_key'],
      ["a client's key", KEYS.client, 403, 'admin_only'],
      ["a peer's key", KEYS.peer, 403, 'admin_only'],
    ])('refuses %s', async (_what, key, status, code) => {
      const answer = await send(url, method, path, { key, body: method === 'GET' ? undefined : {} });
      expect([answer.status, answer.error.code]).toEqual([status, code]);
    });
  });

  it('do not exist where there is no operator', async () => {
    const instance = await InstanceProcess.start({
      BATON_ENGINE_KIND: 'http',
      BATON_ENGINE_URL: 'http://127.0.0.1:9',
      BATON_SECURITY_PEER_KEYS: `lb:${KEYS.peer}`,
    });
    try {
      for (const [method, path] of ROUTES) {
        const { status, error } = await send(instance.url, method, path, { key: KEYS.peer });
        expect([method, path, status, error.code]).toEqual([method, path, 404, 'not_found']);
      }
    } finally {
      await instance.stop();
    }
  });

  describe.each(WITH_BODY)('%s %s', (method, path) => {
    it.each([
      ['no JSON', '{"managers":', 400, 'invalid_json'],
      ['a list', [], 400, null],
      ['null', null, 400, null],
      ['a forbidden key', '{"__proto__":{}}', 400, 'forbidden_key'],
      ['nothing that is declared as JSON', '', 400, 'empty_body'],
      ['an unknown field', { speed: 1 }, 400, 'unknown_parameter'],
    ])('refuses %s', async (_what, body, status, code) => {
      const answer = await admin(method, path, { body });
      expect([answer.status, answer.error.code]).toEqual([status, code]);
      if (code === 'unknown_parameter') expect(answer.error.param).toBe('speed');
    });

    it('refuses what is declared as something else', async () => {
      const answer = await admin(method, path, { body: 'a', headers: { 'content-type': 'text/plain' } });
      expect([answer.status, answer.error.code]).toEqual([415, 'unsupported_media_type']);
    });
  });

  it.each([
    ['PATCH', '/admin/policies', {}, 'managers'],
    ['PATCH', '/admin/policies', { managers: 'all' }, 'managers'],
    ['PATCH', '/admin/policies', { managers: [{ name: 'remote', enabled: 'no' }] }, 'managers[0].enabled'],
    ['PATCH', '/admin/policies', { managers: [{ name: 'remote', canaryPercent: -1 }] }, 'managers[0].canaryPercent'],
    ['PATCH', '/admin/policies', { managers: [{ name: 'remote', speed: 1 }] }, 'managers[0].speed'],
    ['PATCH', '/admin/policies', { managers: [{ name: 'nobody', shadow: true }] }, 'managers[0].name'],
    [
      'PATCH',
      '/admin/policies',
      { managers: [{ name: 'remote', disaggregateWhen: { header: { name: 5 } } }] },
      'managers[0].disaggregateWhen.header.name',
    ],
    ['POST', '/admin/policies/rollback', {}, 'version'],
    ['POST', '/admin/policies/rollback', { version: '0' }, 'version'],
    ['POST', '/admin/policies/rollback', { version: 1.5 }, 'version'],
    ['POST', '/admin/plugins', { replace: 'yes' }, 'replace'],
    ['POST', '/admin/explain', {}, 'body'],
    ['POST', '/admin/explain', { body: 'hello' }, 'body'],
    ['POST', '/admin/explain', { body: { prompt: 'a' }, api: 'images' }, 'api'],
    ['POST', '/admin/explain', { body: { prompt: 'a' }, headers: { 'x-a': 1 } }, 'headers.x-a'],
    ['POST', '/admin/explain', { body: { prompt: 'a' }, caller: 'admin' }, 'caller'],
    ['POST', '/admin/explain', { body: { messages: [] } }, 'body.messages'],
  ] as const)('%s %s names what is wrong in %j', async (method, path, body, param) => {
    const before = await admin('GET', '/admin/policies');
    const answer = await admin(method, path, { body });
    expect([answer.status, answer.error.param]).toEqual([400, param]);
    expect(answer.error.message).toContain(param.replace(/^body\./, ''));
    expect((await admin('GET', '/admin/policies')).etag).toBe(before.etag);
  });

  it.each(['limit=0', 'limit=65537', 'limit=ten', 'limit=1&limit=2', 'before='])(
    'list no requests for ?%s',
    async (query) => {
      const { status, error } = await admin('GET', `/admin/requests?${query}`);
      expect([status, error.param]).toEqual([400, query.split('=')[0]]);
    },
  );

  it.each([
    ['PUT', '/admin/plugins/{name}', undefined, 404, 'plugin_not_found'],
    ['DELETE', '/admin/plugins/{name}', undefined, 404, 'plugin_not_found'],
    ['PUT', '/admin/plugins/..%2F..%2Fetc', undefined, 404, 'plugin_not_found'],
    ['POST', '/admin/policies/rollback', { version: 4_711 }, 404, 'unknown_policy_version'],
    ['GET', '/admin/requests/{id}', undefined, 404, 'unknown_request'],
  ] as const)('%s %s of what is not there: %j', async (method, path, body, status, code) => {
    const answer = await admin(method, path, body === undefined ? {} : { body });
    expect([answer.status, answer.error.code]).toEqual([status, code]);
  });

  it.each([
    ['"4711"', 412, 'policy_version_mismatch'],
    ['W/"0"', 412, 'policy_version_mismatch'],
    ['4711', 400, 'invalid_if_match'],
    ['"0", "1"', 400, 'invalid_if_match'],
  ])('change nothing when If-Match is %s', async (tag, status, code) => {
    const headers = { 'if-match': tag };
    const body = { managers: [{ name: 'remote', enabled: false }] };
    const changed = await admin('PATCH', '/admin/policies', { body, headers });
    const rolledBack = await admin('POST', '/admin/policies/rollback', { body: { version: 0 }, headers });
    expect([changed, rolledBack].map((answer) => [answer.status, answer.error.code])).toEqual([
      [status, code],
      [status, code],
    ]);
  });

  it('show the configuration, of plugins only which options are set', async () => {
    const { status, body } = await admin('GET', '/admin/config');
    expect([status, body['plugins'], body['pluginDirectories']]).toEqual([
      200,
      { '@acme/later': { token: '***' } },
      [plugins],
    ]);
    expect(JSON.stringify(body)).not.toContain('hunter2');
  });

  it('change which manager answers, tell who did it, and take it back', async () => {
    expect((await chat()).headers.get('x-baton-manager')).toBe('prefill-remote-decode-remote');
    const before = await admin('GET', '/admin/policies');
    const changed = await admin('PATCH', '/admin/policies', {
      body: { managers: [{ name: 'prefill-remote-decode-remote', enabled: false }], reason: 'a test' },
      headers: { 'if-match': before.etag ?? '' },
    });
    expect(changed.status).toBe(200);
    const answer = await chat();
    expect(answer.headers.get('x-baton-manager')).toBe('remote');
    expect(answer.headers.get('x-baton-policy-version')).toBe(changed.body['snapshot']);

    const version = Number(before.etag?.replaceAll('"', ''));
    const back = await admin('POST', '/admin/policies/rollback', { body: { version } });
    expect([back.status, back.etag]).toEqual([200, `"${version + 2}"`]);
    expect((await chat()).headers.get('x-baton-manager')).toBe('prefill-remote-decode-remote');

    const { body } = await admin('GET', '/admin/policies/history');
    expect(body['history']).toMatchObject([
      { action: 'rollback', who: 'ops', version: version + 2 },
      { action: 'change', who: 'ops', version: version + 1, reason: 'a test' },
    ]);
    await eventually('it is in the log', () =>
      coordinator.instance.output.join('').includes('"audit":true,"who":"ops","action":"change"'),
    );
  });

  it('load, replace and remove a plugin', async () => {
    await cp(join(FIXTURES, 'good-manager'), join(plugins, 'good-manager'), { recursive: true });
    const name = '@acme/good-manager';
    const path = `/admin/plugins/${encodeURIComponent(name)}`;
    const scanned = await admin('POST', '/admin/plugins');
    expect([scanned.status, scanned.body['plugins']]).toEqual([
      200,
      [expect.objectContaining({ name, status: 'loaded', version: '1.0.0', provides: ['manager:good-manager'] })],
    ]);
    expect((await chat()).headers.get('x-baton-manager')).toBe('good-manager');

    const replaced = await admin('PUT', path);
    expect([replaced.status, replaced.body]).toEqual([200, expect.objectContaining({ name, status: 'loaded' })]);
    expect((await admin('GET', '/admin/plugins')).body['plugins']).toHaveLength(1);
    const metrics = await (
      await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${KEYS.admin}` } })
    ).text();
    expect(metrics).toContain('baton_plugins{status="loaded"} 1\n');

    expect((await admin('DELETE', path)).status).toBe(200);
    expect((await chat()).headers.get('x-baton-manager')).toBe('prefill-remote-decode-remote');
  });

  it('name a bad plugin, its fault and the fix, in the shape of all errors', async () => {
    await cp(join(FIXTURES, 'throws-at-import'), join(plugins, 'throws-at-import'), { recursive: true });
    const { body } = await admin('POST', '/admin/plugins');
    const listed = (body['plugins'] as { name: string; status: string; reason: string; fix: string }[]).find(
      ({ status }) => status === 'refused',
    );
    expect(listed).toMatchObject({ reason: expect.any(String), fix: expect.any(String) });
    const name = listed?.name ?? '';
    const { status, error } = await admin('PUT', `/admin/plugins/${encodeURIComponent(name)}`);
    expect(status).toBe(422);
    expect(error).toEqual({
      message: expect.stringMatching(new RegExp(`^Plugin ${name}: .+\\. .+\\.$`, 's')),
      type: 'invalid_request_error',
      param: null,
      code: 'plugin_import_failed',
    });
    expect((await chat()).status).toBe(200);
  });

  it('explain a request without running it, and show those that ran, without their prompts', async () => {
    const sides = [coordinator.decode, ...coordinator.prefills];
    const seen = (): Promise<unknown> => Promise.all(sides.map((side) => side.get('requests')));
    const before = await seen();
    const explained = await admin('POST', '/admin/explain', {
      body: { body: { messages: [{ role: 'user', content: 'the owl sings at noon' }] } },
    });
    expect(explained.status).toBe(200);
    expect(JSON.stringify(explained.body)).toContain('prefill-remote-decode-remote');
    expect(JSON.stringify(explained.body)).not.toContain('the owl sings');
    expect(await seen()).toEqual(before);

    const answer = await chat({ 'x-request-id': 'remember-me' });
    expect(answer.status).toBe(200);
    const listed = await admin('GET', '/admin/requests');
    expect(JSON.stringify(listed.body)).toContain('remember-me');
    const { status, body } = await admin('GET', '/admin/requests/remember-me');
    expect(status).toBe(200);
    expect(body).toMatchObject({ caller: 'shop', answeredBy: 'prefill-remote-decode-remote', endReason: 'complete' });
    const newest = await admin('GET', '/admin/requests?limit=1');
    expect(newest.body['requests']).toEqual([expect.objectContaining({ id: 'remember-me' })]);
    const older = await admin('GET', `/admin/requests?before=${String(body['key'])}`);
    expect(JSON.stringify(older.body)).not.toContain('remember-me');
    expect(JSON.stringify([body, listed.body])).not.toContain('the owl sings');
  });

  it('are all in the OpenAPI document, with their headers and errors', async () => {
    const headers = { authorization: `Bearer ${KEYS.admin}` };
    const source = await (await fetch(`${url}/openapi.json`, { headers })).text();
    const { paths } = JSON.parse(source) as {
      paths: Record<string, Record<string, { responses: Record<string, { headers?: object }>; security: unknown }>>;
    };
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.filter((route) => route.includes(' /admin/')).sort()).toEqual(
      ROUTES.map(([method, path]) => `${method} ${path}`).sort(),
    );
    for (const [method, path] of ROUTES) {
      const { responses, security } = paths[path]![method.toLowerCase()]!;
      expect([path, security]).toEqual([path, [{ bearer: [] }]]);
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(['401', '403', '500']));
    }
    for (const [path, method] of [
      ['/admin/policies', 'get'],
      ['/admin/policies', 'patch'],
      ['/admin/policies/rollback', 'post'],
    ] as const) {
      expect(Object.keys(paths[path]![method]!.responses['200']?.headers ?? {})).toContain('ETag');
    }
    const config = await createConfig({
      extends: ['recommended'],
      rules: { 'no-server-example.com': 'off', 'security-defined': 'off' },
    });
    const problems = await lintFromString({ source, config });
    expect(problems.filter(({ severity }) => severity === 'error').map(({ message }) => message)).toEqual([]);
  });

  it('log no prompt and no key', () => {
    const output = coordinator.instance.output.join('');
    expect(output).not.toContain('the owl sings');
    for (const key of [...Object.values(KEYS), 'hunter2']) expect(output).not.toContain(key);
  });
});
