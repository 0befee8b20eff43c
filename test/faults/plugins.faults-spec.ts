import { afterAll, beforeAll } from '@jest/globals';
import { chmod, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceProcess } from '../support/instance-process.js';
import { ask, FLOWS } from '../support/requests.js';
import type { AdminClient } from '../plugins/support/admin-client.js';
import { loggedFaults } from '../plugins/support/logged-faults.js';
import type { PluginFolder } from '../plugins/support/plugin-folder.js';
import { PluginRig } from '../plugins/support/rig.js';
import { faultCases, type FaultCase } from './support/fault-case.js';
import { assertQuiet, baselineOf } from './support/quiet.js';

const LOAD_TIMEOUT_MS = 500;
const GOOD = '@acme/good-manager';

let rig: PluginRig;
let folder: PluginFolder;
let outside: PluginFolder;
beforeAll(async () => {
  rig = await PluginRig.start();
  [folder, outside] = await Promise.all([rig.folder(), rig.folder()]);
});
afterAll(() => rig.stop());

/** A plugin that must not get in, and how the host calls that. */
interface Intruder {
  readonly name: string;
  readonly code: string;
  drop(): Promise<unknown>;
}

const MODULE = "import { Module } from '@nestjs/common';\nexport default class M {}\nModule({})(M);\n";

/** A plugin that would load, but for what is wrong with it. */
async function written(name: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const manifest = {
    ...{ name, version: '1.0.0', type: 'module', exports: './index.js' },
    ...{ peerDependencies: { '@nestjs/common': '^12.0.0' } },
    baton: { apiVersion: '^1.0.0', provides: [`manager:${name}`] },
    ...more,
  };
  return folder.write(name, { 'package.json': JSON.stringify(manifest), 'index.js': MODULE });
}

const INTRUDERS: readonly Intruder[] = [
  { name: 'link-out-of-folder', code: 'plugin_link_outside', drop: () => folder.drop('link-out-of-folder') },
  {
    name: 'linked-directory',
    code: 'plugin_link_outside',
    drop: async () => symlink(await outside.drop('good-manager'), join(folder.path, 'linked-directory')),
  },
  {
    name: 'entry-outside',
    code: 'plugin_entry_outside',
    drop: () => written('entry-outside', { exports: '../good-manager/index.js' }),
  },
  {
    name: 'writable-by-all',
    code: 'plugin_writable_by_all',
    drop: async () => chmod(join(await written('writable-by-all'), 'index.js'), 0o666),
  },
  { name: 'other-content', code: 'plugin_hash_mismatch', drop: () => written('other-content') },
  { name: 'wrong-api-version', code: 'plugin_api_version', drop: () => folder.drop('wrong-api-version') },
  { name: 'hangs-at-import', code: 'plugin_timeout', drop: () => folder.drop('hangs-at-import') },
];

/** What each plugin of the folder has, but for one whose content nobody has agreed to. */
async function lockOf(admin: AdminClient): Promise<Record<string, string>> {
  const known = (await admin.plugins()).map(({ name, contentHash }) => [name, contentHash] as const);
  const others = INTRUDERS.map(({ name }) => [name, ''] as const);
  const lock = Object.fromEntries([...others, ...known].filter(([, hash]) => hash !== ''));
  return { ...lock, 'other-content': `sha256-${'A'.repeat(43)}=` };
}

const intruders: FaultCase = {
  id: 'X12',
  title: 'plug-ins that lead out of their folder, are open to all, or are not what they should be: refused by name',
  runs: { scaled: INTRUDERS.length, full: INTRUDERS.length * 5 },
  boundMs: { scaled: 60_000, full: 240_000 },
  run: async (trial) => {
    for (const intruder of INTRUDERS) await intruder.drop();
    await folder.drop('good-manager');
    const options = { directories: [folder.path], pluginHost: { loadTimeoutMs: LOAD_TIMEOUT_MS } };
    const first = await rig.instance(options);
    const lock = await lockOf(first.admin);
    await first.instance.stop();
    const { instance, admin } = await rig.instance({ ...options, pluginHost: { ...options.pluginHost, lock } });
    const baseline = await baselineOf([instance]);
    await serves(trial, instance);
    for (let run = 0; run < trial.runs; run += INTRUDERS.length) {
      for (const { name, code } of INTRUDERS) {
        const { status, error } = await admin.load(name);
        if (status === 422 && error.code === code) trial.injected();
        else trial.failed(`${name}: ${status} ${error.code} ${error.message}`);
        const listed = await admin.plugin(name);
        if (listed?.status !== 'refused' || !listed.fix) trial.failed(`${name} is listed as ${JSON.stringify(listed)}`);
      }
      await serves(trial, instance);
    }
    const told = new Set(loggedFaults(instance).map(({ plugin }) => plugin));
    for (const { name } of INTRUDERS) if (!told.has(name)) trial.failed(`the log does not name ${name}`);
    await assertQuiet(trial, baseline);
  },
};

/** Requests are answered, by the plugin that is as it should be. */
async function serves(trial: Parameters<FaultCase['run']>[0], instance: InstanceProcess): Promise<void> {
  const { status, headers } = await ask(instance.url, FLOWS[0]!, FLOWS[0]!.body('A fox named Ivy.', [], 4));
  const manager = headers.get('x-baton-manager');
  if (status !== 200 || manager !== 'good-manager') trial.failed(`${status} by ${manager}, not by that of ${GOOD}`);
}

faultCases('Plug-ins', [intruders]);
