import { PluginError, PluginHost, type PluginState } from '@baton/coordination';
import { PoolEngine } from '@baton/engines';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { pino } from 'pino';
import { createInstance } from '../bootstrap.js';
import { loadConfig } from '../config/load-config.js';

const KEY = 'k'.repeat(32);
const NAME = '@acme/affinity';
const PATH = `/${encodeURIComponent(NAME)}`;
const BY = { who: 'ops' };
const LOADED: PluginState = {
  ...{ name: NAME, version: '1.2.0', status: 'loaded', provides: ['manager:affinity'] },
  ...{ directory: '/opt/plugins/affinity', contentHash: 'sha256-abc', loads: 2, failures: 0 },
  loadedAt: '2026-11-23T01:26:49.000Z',
};
const REFUSED: PluginState = {
  ...{ name: 'broken', version: '', status: 'refused', provides: [], directory: '/opt/plugins/broken' },
  ...{ contentHash: '', loads: 0, failures: 1, reason: 'it throws', fix: 'Mend it.', code: 'plugin_import_failed' },
};

const lines: string[] = [];
let app: NestFastifyApplication;
let host: PluginHost;

interface Said {
  readonly status: number;
  readonly body: unknown;
}

async function ask(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, payload?: object): Promise<Said> {
  const answer = await app.inject({
    ...{ method, url: `/admin/plugins${path}`, headers: { authorization: `Bearer ${KEY}` } },
    ...(payload !== undefined && { payload }),
  });
  return { status: answer.statusCode, body: answer.json() };
}

const audit = (): readonly unknown[] =>
  lines.map((line) => JSON.parse(line) as { audit?: boolean }).filter((line) => line.audit === true);

describe('the plugins of an instance', () => {
  beforeAll(async () => {
    const env = { BATON_SECURITY_ADMIN_KEYS: `ops:${KEY}`, BATON_PLUGIN_DIRECTORIES: '' };
    const logger = pino({ base: undefined, timestamp: false }, { write: (line: string) => void lines.push(line) });
    app = await createInstance(loadConfig({ env }), { engine: new PoolEngine({ prefill: [], decode: [] }), logger });
    await app.init();
    host = app.get(PluginHost, { strict: false });
  });
  afterAll(() => app.close());
  beforeEach(() => void (lines.length = 0));
  afterEach(() => void jest.restoreAllMocks());

  it('are listed with what is known of them, and nothing that is not', async () => {
    jest.spyOn(host, 'list').mockReturnValue([LOADED, REFUSED]);
    jest.spyOn(host, 'imports', 'get').mockReturnValue(3);
    expect(await ask('GET', '')).toEqual({ status: 200, body: { plugins: [LOADED, REFUSED], imports: 3 } });
    expect(audit()).toEqual([]);
  });

  it.each([
    [undefined, false],
    [{}, false],
    [{ replace: null }, false],
    [{ replace: true }, true],
  ])('are looked for, when %j is asked', async (body, replace) => {
    const scan = jest
      .spyOn(host, 'scan')
      .mockResolvedValue({ loaded: [NAME], replaced: [], refused: ['broken'], plugins: [LOADED, REFUSED] });
    expect(await ask('POST', '', body)).toEqual({
      status: 200,
      body: { loaded: [NAME], replaced: [], refused: ['broken'], plugins: [LOADED, REFUSED] },
    });
    expect(scan).toHaveBeenCalledWith({ replace, by: BY });
    expect(audit()).toEqual([expect.objectContaining({ ...BY, action: 'scan', outcome: 'done' })]);
  });

  it.each([
    [{ replace: 'yes' }, 'replace'],
    [{ force: true }, 'force'],
  ])('are not looked for when %j is asked', async (body, param) => {
    const scan = jest.spyOn(host, 'scan');
    const { status, body: answer } = await ask('POST', '', body);
    expect([status, answer]).toEqual([400, { error: expect.objectContaining({ param }) }]);
    expect(scan).not.toHaveBeenCalled();
    expect(audit()).toEqual([]);
  });

  it('are loaded by name', async () => {
    const load = jest.spyOn(host, 'load').mockResolvedValue(LOADED);
    expect(await ask('PUT', PATH)).toEqual({ status: 200, body: LOADED });
    expect(load).toHaveBeenCalledWith(NAME, BY);
    expect(audit()).toEqual([expect.objectContaining({ ...BY, action: 'load', plugin: NAME, outcome: 'done' })]);
  });

  it('are removed by name', async () => {
    const draining: PluginState = { ...LOADED, status: 'draining' };
    const unload = jest.spyOn(host, 'unload').mockResolvedValue(draining);
    expect(await ask('DELETE', PATH)).toEqual({ status: 200, body: draining });
    expect(unload).toHaveBeenCalledWith(NAME, BY);
    expect(audit()).toEqual([expect.objectContaining({ ...BY, action: 'unload', plugin: NAME, outcome: 'done' })]);
  });

  it.each([
    ['PUT', 'load', 'plugin_import_failed', 422, 'invalid_request_error'],
    ['PUT', 'load', 'plugin_busy', 503, 'service_unavailable_error'],
    ['DELETE', 'unload', 'plugin_in_use', 409, 'invalid_request_error'],
    ['DELETE', 'unload', 'plugin_not_found', 404, 'not_found_error'],
  ] as const)('say why a %s is refused (%s: %s), also in the log', async (method, action, code, status, type) => {
    const error = new PluginError({ plugin: NAME, code, reason: 'it is so', fix: 'Mend it.' });
    jest.spyOn(host, action).mockRejectedValue(error);
    expect(await ask(method, PATH)).toEqual({
      status,
      body: { error: { message: `Plugin ${NAME}: it is so. Mend it.`, type, param: null, code } },
    });
    expect(audit()).toEqual([
      expect.objectContaining({ ...BY, action, plugin: NAME, outcome: 'refused', code, level: 30 }),
    ]);
    expect(lines.join('')).not.toContain(KEY);
  });
});
