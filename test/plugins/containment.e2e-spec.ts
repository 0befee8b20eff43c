import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { ask, FLOWS } from '../support/requests.js';
import type { ListedManager } from './support/admin-client.js';
import { loggedFaults } from './support/logged-faults.js';
import { OpenLoop } from './support/open-loop.js';
import type { PluginFolder } from './support/plugin-folder.js';
import { PluginRig } from './support/rig.js';

/** As many as the kinds of garbage that `returns-garbage` answers with. */
const MAX_FAILURES = 8;
/** In the order in which they are asked; the good one is behind them. */
const BAD = ['throws-in-dispatch', 'returns-garbage', 'hangs-in-dispatch'];

const question = (url: string, stream: boolean) =>
  ask(url, FLOWS[0]!, FLOWS[0]!.body('A fox named Ivy.', [], 4), { stream });

describe('plugins whose managers go wrong while they dispatch', () => {
  let rig: PluginRig;
  const options = (folder: PluginFolder, firstPartTimeoutMs = 200) => ({
    directories: [folder.path],
    pluginHost: { firstPartTimeoutMs, maxFailures: MAX_FAILURES, failureWindowMs: 60_000 },
  });

  beforeAll(async () => {
    rig = await PluginRig.start();
  });
  afterAll(() => rig.stop());

  it('lose each request to the next manager, are counted, and are switched off', async () => {
    const folder = await rig.folder();
    for (const name of [...BAD, 'good-manager']) await folder.drop(name);
    const { instance, admin } = await rig.instance(options(folder));
    for (let failure = 1; failure <= MAX_FAILURES; failure += 1) {
      const { status, headers, finishReason } = await question(instance.url, failure % 2 === 0);
      expect([status, headers.get('x-baton-manager'), finishReason]).toEqual([200, 'good-manager', 'length']);
      if (failure < MAX_FAILURES) {
        for (const name of BAD) expect(await admin.plugin(name)).toMatchObject({ status: 'loaded', failures: failure });
      }
    }
    for (const name of BAD) {
      await eventually(`${name} is switched off`, async () => (await admin.plugin(name))?.status === 'switched_off');
      expect(await admin.plugin(name)).toMatchObject({ failures: MAX_FAILURES, reason: expect.any(String) });
    }
    const { body } = await admin.policies();
    const managers = body['managers'] as readonly ListedManager[];
    const off = managers.filter(({ isSwitchedOff, position }) => isSwitchedOff && position === null);
    expect(off.map(({ name }) => name)).toEqual(expect.arrayContaining(BAD));
    const { tookMs } = await timedQuestion(instance.url);
    expect(tookMs).toBeLessThan(200);
    for (const name of BAD) {
      const faults = loggedFaults(instance).filter(({ plugin }) => plugin === name);
      expect(faults.length).toBeGreaterThanOrEqual(1);
      expect(faults.every(({ reason, fix }) => reason !== '' && fix !== '')).toBe(true);
    }
    for (const name of BAD) {
      expect(await admin.load(name)).toMatchObject({ status: 200, body: { status: 'loaded', failures: 0 } });
    }
    // It is asked again.
    expect((await question(instance.url, false)).headers.get('x-baton-manager')).toBe('good-manager');
    expect((await admin.plugin('throws-in-dispatch'))?.failures).toBe(1);
    expect((await admin.plugin('@acme/good-manager'))?.failures).toBe(0);
  });

  it('harm no other request, when they are loaded under load', async () => {
    const folder = await rig.folder();
    await folder.drop('good-manager');
    // A good one must not be taken for one that hangs, however busy the machine is.
    const { instance, admin } = await rig.instance(options(folder, 5_000));
    const load = new OpenLoop(instance.url, 50);
    for (const name of BAD) await folder.drop(name);
    expect((await admin.scan()).status).toBe(200);
    for (const name of BAD) {
      const isOff = async (): Promise<boolean> => (await admin.plugin(name))?.status === 'switched_off';
      await eventually(`${name} is switched off`, isOff, 30_000);
    }
    const { failures, seen } = await load.stop();
    expect(failures).toEqual([]);
    expect(new Set(seen.map(({ manager }) => manager))).toEqual(new Set(['good-manager']));
  });
});

async function timedQuestion(url: string): Promise<{ tookMs: number }> {
  const start = performance.now();
  await question(url, false);
  return { tookMs: performance.now() - start };
}
