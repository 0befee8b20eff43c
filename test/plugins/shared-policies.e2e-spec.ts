import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import type { InstanceProcess } from '../support/instance-process.js';
import { ask, FLOWS } from '../support/requests.js';
import { OPERATOR, type AdminAnswer, type AdminClient, type ListedManager } from './support/admin-client.js';
import { PluginRig } from './support/rig.js';

const CHANGES = 100;
const NAMES = ['prefill-remote-decode-remote', 'remote'];

describe('two processes that share their policies by a file', () => {
  let rig: PluginRig;
  let directory: string;
  let one: { instance: InstanceProcess; admin: AdminClient };
  let other: typeof one;

  const start = (): Promise<typeof one> =>
    rig.instance({ directories: [], coordination: { policyState: 'file', policyStateDirectory: directory } });

  beforeAll(async () => {
    rig = await PluginRig.start();
    directory = (await rig.folder()).path;
    [one, other] = await Promise.all([start(), start()]);
  });
  afterAll(() => rig.stop());

  /** What is in force, without counters. */
  const inForce = async ({ admin }: typeof one): Promise<unknown> => {
    const { etag, body } = await admin.policies();
    const managers = body['managers'] as readonly ListedManager[];
    return {
      etag,
      managers: managers.map(({ name, enabled, priority, shadow }) => ({ name, enabled, priority, shadow })),
    };
  };
  const agree = (...all: (typeof one)[]): Promise<number> =>
    eventually(
      'they agree',
      async () => new Set((await Promise.all(all.map(inForce))).map((it) => JSON.stringify(it))).size === 1,
    );
  const change = ({ admin }: typeof one, priority: number, etag?: string): Promise<AdminAnswer> =>
    admin.call(
      'PATCH',
      'policies',
      { managers: NAMES.map((name, index) => ({ name, priority: index === 0 ? priority : -priority })) },
      etag === undefined ? {} : { 'if-match': etag },
    );
  const answeredBy = async ({ instance }: typeof one): Promise<string | null> =>
    (await ask(instance.url, FLOWS[0]!, FLOWS[0]!.body('A fox named Ivy.', [], 4))).headers.get('x-baton-manager');

  it(`agree after ${CHANGES} changes in turn`, async () => {
    for (let turn = 1; turn <= CHANGES; turn += 1) {
      const { status, error } = await change(turn % 2 === 0 ? one : other, turn % 3 === 0 ? turn : -turn);
      expect({ turn, status, message: error.message }).toEqual({ turn, status: 200, message: '' });
    }
    const tookMs = await agree(one, other);
    console.log(`Two processes agree ${tookMs.toFixed(0)} ms after ${CHANGES} changes.`);
    expect(await answeredBy(one)).toBe(await answeredBy(other));
    expect((await one.admin.policies()).etag).toBe(`"${CHANGES}"`);
  });

  it('let one of two changes of the same version win, and refuse the other', async () => {
    for (let round = 0; round < 20; round += 1) {
      await agree(one, other);
      const etag = (await one.admin.policies()).etag ?? '';
      const answers = await Promise.all([change(one, round, etag), change(other, -round, etag)]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    }
    await agree(one, other);
  });

  it('lose none of 20 changes at once that name no version', async () => {
    await agree(one, other);
    const before = Number((await one.admin.policies()).body['version']);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, turn) => change(turn % 2 === 0 ? one : other, turn)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    await agree(one, other);
    expect((await other.admin.policies()).body['version']).toBe(before + 20);
    const { history } = (await other.admin.call('GET', 'policies/history')).body as { history: { who: string }[] };
    expect(history.slice(0, 20).every(({ who }) => who === OPERATOR)).toBe(true);
  });

  it('keep them when both are started anew, also beside a torn file; and take a rollback', async () => {
    await change(one, -77);
    await agree(one, other);
    const before = await inForce(one);
    // As a process that was killed within a write leaves them.
    await writeFile(join(directory, 'policy-999999.json'), '{"version": 9999');
    await writeFile(join(directory, '.policy.tmp'), '');
    await Promise.all([one.instance.stop('SIGKILL'), other.instance.stop()]);
    [one, other] = await Promise.all([start(), start()]);
    expect(await inForce(one)).toEqual(before);
    await agree(one, other);
    expect(await answeredBy(one)).toBe(NAMES[0]);

    const rolledBack = await other.admin.call('POST', 'policies/rollback', { version: CHANGES - 1 });
    expect({ status: rolledBack.status, message: rolledBack.error.message }).toEqual({ status: 200, message: '' });
    await agree(one, other);
    expect(await answeredBy(one)).toBe(NAMES[1]);
    expect((await readdir(directory)).length).toBeLessThanOrEqual(110);
  });
});
