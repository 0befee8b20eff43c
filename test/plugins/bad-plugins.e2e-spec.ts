import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { InstanceProcess } from '../support/instance-process.js';
import { ask, FLOWS } from '../support/requests.js';
import type { AdminClient, ListedPlugin } from './support/admin-client.js';
import { BAD_OPTIONS, BAD_PLUGINS } from './support/bad-plugins.js';
import { faultsIn, loggedFaults } from './support/logged-faults.js';
import { OpenLoop } from './support/open-loop.js';
import type { PluginFolder } from './support/plugin-folder.js';
import { PluginRig } from './support/rig.js';

const GOOD = '@acme/good-manager';
const LOAD_TIMEOUT_MS = 1_000;
const MANAGER_HEADER = 'x-baton-manager';

const question = (url: string) => ask(url, FLOWS[0]!, FLOWS[0]!.body('A fox named Ivy.', [], 4));

describe('plugins that cannot be loaded', () => {
  let rig: PluginRig;
  let folder: PluginFolder;

  beforeAll(async () => {
    rig = await PluginRig.start();
    folder = await rig.folder();
    for (const { name } of BAD_PLUGINS) await folder.drop(name);
    await folder.drop('good-manager');
  });
  afterAll(() => rig.stop());

  const options = (onFault: 'skip' | 'refuse') => ({
    directories: [folder.path],
    plugins: BAD_OPTIONS,
    pluginHost: { onFault, loadTimeoutMs: LOAD_TIMEOUT_MS },
  });

  describe('at the start, skipped', () => {
    let instance: InstanceProcess;
    let admin: AdminClient;
    let plugins: readonly ListedPlugin[];

    beforeAll(async () => {
      ({ instance, admin } = await rig.instance(options('skip')));
      plugins = await admin.plugins();
    });

    it('do not keep the good one from serving', async () => {
      const { status, headers, finishReason } = await question(instance.url);
      expect([status, headers.get(MANAGER_HEADER), finishReason]).toEqual([200, 'good-manager', 'length']);
      expect(plugins.find(({ name }) => name === GOOD)).toMatchObject({ status: 'loaded', version: '1.0.0', loads: 1 });
    });

    it.each(BAD_PLUGINS)('$name: named with reason and fix, in the list and in the log', ({ name, code, reason }) => {
      const listed = plugins.find((plugin) => plugin.name === name);
      expect(listed).toMatchObject({ status: 'refused', reason: expect.stringMatching(reason) });
      expect(listed?.fix).toMatch(/\w+ .*\.$/s);
      expect(listed?.code).toBe(code);
      const logged = loggedFaults(instance).filter(({ plugin }) => plugin === name);
      expect(logged).toHaveLength(1);
      expect(logged[0]).toMatchObject({ reason: expect.stringMatching(reason), fix: listed?.fix });
    });

    it('leave no manager behind', async () => {
      const { body } = await admin.policies();
      const names = (body['managers'] as { name: string; origin: string }[]).filter(
        ({ origin }) => origin !== 'in-tree',
      );
      expect(names.map(({ name }) => name)).toEqual(['good-manager']);
    });

    it('are refused by PUT under load as well, and no request fails', async () => {
      const load = new OpenLoop(instance.url, 40);
      for (const { name, code, reason } of BAD_PLUGINS) {
        const { status, error } = await admin.load(name);
        expect({ name, status, code: error.code }).toEqual({ name, status: 422, code });
        expect(error.message).toMatch(reason);
        expect(error.message).toContain(name);
      }
      const { failures, seen } = await load.stop();
      expect(failures).toEqual([]);
      expect(seen.length).toBeGreaterThan(40);
      expect(new Set(seen.map(({ manager }) => manager))).toEqual(new Set(['good-manager']));
    });
  });

  it('at the start, when faults refuse it: it does not start, and names them all', async () => {
    const start = rig.instance(options('refuse'));
    const output = await start.then(
      () => 'It started.',
      (error: unknown) => String(error),
    );
    expect(output).toContain('ended before it was ready');
    for (const { name, reason } of BAD_PLUGINS) {
      expect(output).toContain(name);
      expect(output).toMatch(reason);
    }
    expect(faultsIn(output).map(({ plugin }) => plugin)).not.toContain(GOOD);
  });
});
