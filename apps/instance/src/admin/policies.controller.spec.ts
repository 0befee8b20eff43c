import { PoolEngine } from '@baton/engines';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createInstance } from '../bootstrap.js';
import { loadConfig } from '../config/load-config.js';
import type { Policies, PolicyHistory } from '../dto/admin/policy-answers.js';

const KEY = 'k'.repeat(32);
const lines: string[] = [];
let app: NestFastifyApplication;

async function start(env: Readonly<Record<string, string>> = {}): Promise<void> {
  const engine = new PoolEngine({ prefill: [], decode: [] });
  const logger = pino({ base: undefined, timestamp: false }, { write: (line: string) => void lines.push(line) });
  const keys = { BATON_SECURITY_ADMIN_KEYS: `ops:${KEY}`, BATON_PLUGIN_DIRECTORIES: '' };
  app = await createInstance(loadConfig({ env: { ...keys, ...env } }), { engine, logger });
  await app.init();
  lines.length = 0;
}

interface Said<Body> {
  readonly status: number;
  readonly etag: unknown;
  readonly body: Body;
}

async function ask<Body = { error: { code: string | null; param: string | null } }>(
  method: 'GET' | 'PATCH' | 'POST',
  path: string,
  payload?: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Said<Body>> {
  const answer = await app.inject({
    ...{ method, url: `/admin/policies${path}`, headers: { authorization: `Bearer ${KEY}`, ...headers } },
    ...(payload !== undefined && { payload }),
  });
  return { status: answer.statusCode, etag: answer.headers['etag'], body: answer.json<Body>() };
}

const managerOf = ({ managers }: Policies, name: string) => managers.find((manager) => manager.name === name);

describe('the policies of an instance', () => {
  beforeEach(() => start());
  afterEach(() => app.close());

  it('are shown with their version', async () => {
    const { status, etag, body } = await ask<Policies>('GET', '');
    expect([status, etag, body.version, body.absent]).toEqual([200, '"0"', 0, []]);
    expect(body.snapshot).toMatch(/^0\.\d+$/);
    expect(managerOf(body, 'remote')).toMatchObject({
      ...{ origin: 'in-tree', enabled: true, canaryPercent: 100, canaryHeader: null, disaggregateWhen: null },
      ...{ shadow: false, counters: { asked: 0, took: 0, refused: 0 } },
    });
  });

  it('are changed at once, written down, counted, and taken back', async () => {
    const managers = [
      { name: 'remote', priority: -50, canaryPercent: 12.5, disaggregateWhen: { apis: ['chat'], models: null } },
      { name: 'local', enabled: false },
    ];
    const changed = await ask<Policies>('PATCH', '', { managers, reason: 'try it' }, { 'if-match': '"0"' });
    expect([changed.status, changed.etag, changed.body.version]).toEqual([200, '"1"', 1]);
    expect(changed.body.managers[0]).toMatchObject({
      name: 'remote',
      position: 1,
      disaggregateWhen: { apis: ['chat'] },
    });
    expect(managerOf(changed.body, 'local')).toMatchObject({ enabled: false, position: null });

    const back = await ask<Policies>('POST', '/rollback', { version: 0 }, { 'if-match': '"1"' });
    expect([back.status, back.etag]).toEqual([200, '"2"']);
    expect(managerOf(back.body, 'local')).toMatchObject({ enabled: true });

    const { body } = await ask<PolicyHistory>('GET', '/history');
    expect(body.history).toEqual([
      expect.objectContaining({ version: 2, action: 'rollback', who: 'ops', reason: null }),
      expect.objectContaining({ version: 1, action: 'change', who: 'ops', reason: 'try it' }),
    ]);
    expect(body.history[1]?.diff).toContainEqual({ manager: 'local', field: 'enabled', from: true, to: false });

    const audit = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ audit: is }) => is === true);
    expect(audit).toEqual([
      expect.objectContaining({ who: 'ops', action: 'change', version: 1, reason: 'try it', diff: expect.any(Array) }),
      expect.objectContaining({ who: 'ops', action: 'rollback', version: 2 }),
    ]);
    expect(lines.join('')).not.toContain(KEY);

    const metrics = await app.inject({ method: 'GET', url: '/metrics', headers: { authorization: `Bearer ${KEY}` } });
    expect(metrics.body).toContain('baton_policy_version 2\n');
    expect(metrics.body).toContain('baton_policy_changes_total{action="change"} 1\n');
    expect(metrics.body).toContain('baton_manager_verdicts_total{manager="remote",verdict="took"} 0\n');
  });

  it('are written down also when a change of them is refused', async () => {
    await ask('PATCH', '', { managers: [{ name: 'local', priority: 3 }], reason: 'late' }, { 'if-match': '"9"' });
    await ask('POST', '/rollback', { version: 7 });
    const audit = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ audit: is }) => is === true);
    const refused = { who: 'ops', outcome: 'refused' };
    expect(audit).toEqual([
      expect.objectContaining({
        ...{ ...refused, action: 'change', managers: ['local'], reason: 'late', code: 'policy_version_mismatch' },
      }),
      expect.objectContaining({ ...refused, action: 'rollback', version: 7, code: 'unknown_policy_version' }),
    ]);
  });

  it('reset a field that is null', async () => {
    await ask('PATCH', '', { managers: [{ name: 'remote', shadow: true, priority: 7 }] });
    const { body } = await ask<Policies>('PATCH', '', { managers: [{ name: 'remote', shadow: null }] });
    expect(managerOf(body, 'remote')).toMatchObject({ shadow: false, priority: 7 });
  });

  it.each([
    [{ managers: [{ name: 'nobody', enabled: true }] }, 400, 'invalid_policy', 'managers[0].name'],
    [{ managers: [{ name: 'local' }, { name: 'local' }] }, 400, 'invalid_policy', 'managers[1].name'],
    [{ managers: [{ name: 'local', weight: 1 }] }, 400, 'unknown_parameter', 'managers[0].weight'],
    [{ managers: [{ name: 'local', priority: 'high' }] }, 400, null, 'managers[0].priority'],
    [{}, 400, 'missing_required_parameter', 'managers'],
  ])('stay as they are when asked for %j', async (payload, status, code, param) => {
    const refused = await ask('PATCH', '', payload);
    expect([refused.status, refused.body.error]).toEqual([status, expect.objectContaining({ code, param })]);
    expect((await ask('GET', '')).etag).toBe('"0"');
  });

  it('stay as they are when they are not those that the operator has seen', async () => {
    const change = { managers: [{ name: 'local', enabled: false }] };
    const stale = await ask('PATCH', '', change, { 'if-match': '"7"' });
    expect([stale.status, stale.body.error.code]).toEqual([412, 'policy_version_mismatch']);
    const noTag = await ask('PATCH', '', change, { 'if-match': '7' });
    expect([noTag.status, noTag.body.error.code]).toEqual([400, 'invalid_if_match']);
    const unknown = await ask('POST', '/rollback', { version: 99 });
    expect([unknown.status, unknown.body.error]).toEqual([
      404,
      expect.objectContaining({ code: 'unknown_policy_version', param: 'version' }),
    ]);
    expect((await ask('GET', '')).etag).toBe('"0"');
  });
});

it('outlive the process when they are kept in a folder, and are no changes of the next one', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'baton-policies-'));
  const env = { BATON_COORDINATION_POLICY_STATE: 'file', BATON_COORDINATION_POLICY_STATE_DIRECTORY: directory };
  try {
    await start(env);
    await ask('PATCH', '', { managers: [{ name: 'remote', priority: -3 }] });
    await app.close();
    await start(env);
    const { etag, body } = await ask<Policies>('GET', '');
    expect([etag, managerOf(body, 'remote')?.priority]).toEqual(['"1"', -3]);
    expect(lines.filter((line) => line.includes('"audit"'))).toEqual([]);
  } finally {
    await app.close();
    rmSync(directory, { recursive: true });
  }
});
