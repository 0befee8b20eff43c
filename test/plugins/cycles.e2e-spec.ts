import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { slopeOf } from '../faults/soak/slope.js';
import { tell } from '../faults/server/control.js';
import type { InstanceProcess } from '../support/instance-process.js';
import type { AdminClient } from './support/admin-client.js';
import type { PluginFolder } from './support/plugin-folder.js';
import { PluginRig } from './support/rig.js';
import { writtenManager } from './support/written-manager.js';

const CYCLES = Number(process.env['PLUGINS_CYCLES'] ?? 60);
const DISTINCT = Number(process.env['PLUGINS_DISTINCT'] ?? 12);
/** A look at the memory each so many cycles; a tenth of them is warming up. */
const LOOKS = 20;
const COLLECTS = new URL('support/collect-garbage.mjs', import.meta.url);
const KIBIBYTE = 1_024;

/** What an instance holds when its garbage has been collected. */
interface Held {
  readonly rss: number;
  readonly heap: number;
  readonly fds: number;
  readonly timers: number;
  readonly staged: number;
}

describe('loading and unloading, again and again', () => {
  let rig: PluginRig;

  beforeAll(async () => {
    rig = await PluginRig.start();
  });
  afterAll(() => rig.stop());

  async function look(instance: InstanceProcess): Promise<Held> {
    const { rss, heapUsed, timers } = await tell(instance, { collect: true });
    const [fds, staged] = await Promise.all([readdir(`/proc/${instance.pid}/fd`), stagedCopies()]);
    return { ...{ rss, heap: heapUsed, timers }, fds: fds.length, staged } as Held;
  }

  /** Each instance has a directory of its own there, with one in it for each copy. */
  async function stagedCopies(): Promise<number> {
    const roots = await readdir(rig.staging);
    const copies = await Promise.all(roots.map((root) => readdir(join(rig.staging, root))));
    return copies.flat().length;
  }

  /** Does something `times`, and prints what has become more. */
  async function repeat(title: string, times: number, instance: InstanceProcess, cycle: (n: number) => Promise<void>) {
    const looks: { cycle: number; held: Held }[] = [];
    const every = Math.max(1, Math.floor(times / LOOKS));
    const start = performance.now();
    for (let n = 1; n <= times; n += 1) {
      await cycle(n);
      if (n % every === 0) looks.push({ cycle: n, held: await look(instance) });
    }
    const settled = looks.slice(Math.floor(looks.length / 4));
    const slope = (what: keyof Held): number =>
      slopeOf(settled.map(({ cycle: at, held }) => ({ minute: at, value: held[what] })));
    const [first, last] = [looks[0]!.held, looks.at(-1)!.held];
    const slopes = { rss: slope('rss') / KIBIBYTE, heap: slope('heap') / KIBIBYTE };
    console.log(
      `${title}: ${times} cycles in ${((performance.now() - start) / 1_000).toFixed(1)} s; a cycle leaves ` +
        `${slopes.heap.toFixed(1)} KiB of heap and ${slopes.rss.toFixed(1)} KiB of RSS; from the first look to the last: ` +
        (['fds', 'timers', 'staged'] as const).map((what) => `${what} ${first[what]} -> ${last[what]}`).join(', '),
    );
    return { slopes, first, last };
  }

  it(`${CYCLES} times the same plugin: each hook has run ${CYCLES} times, and little is left`, async () => {
    const folder = await rig.folder();
    const file = join(folder.path, 'hooks.txt');
    const { instance, admin } = await rig.instance({
      directories: [folder.path],
      plugins: { 'all-hooks': { file } },
      preloads: [COLLECTS],
    });
    await folder.drop('all-hooks');
    const { slopes, first, last } = await repeat('Same content', CYCLES, instance, async () => {
      expect((await admin.load('all-hooks')).status).toBe(200);
      expect((await admin.unload('all-hooks')).status).toBe(200);
    });
    await settled(admin, 'all-hooks');
    const ran = await readFile(file, 'utf8');
    for (const hook of [
      ...['constructor', 'onModuleInit', 'onApplicationBootstrap'],
      ...['onModuleDestroy', 'beforeApplicationShutdown', 'onApplicationShutdown'],
    ]) {
      expect({ hook, ran: ran.split('\n').filter((line) => line === hook).length }).toEqual({ hook, ran: CYCLES });
    }
    expect(slopes.heap).toBeLessThan(20);
    expect(slopes.rss).toBeLessThan(150);
    expect(last.fds).toBeLessThanOrEqual(first.fds + 2);
    expect(last.timers).toBeLessThanOrEqual(first.timers + 2);
    expect(last.staged).toBeLessThanOrEqual(first.staged);
    await instance.stop();
    expect(await readdir(rig.staging)).toEqual([]);
  }, 120_000);

  it(`${DISTINCT} times another content: bounded by maxLoads, which is said`, async () => {
    const folder = await rig.folder();
    const { instance, admin } = await rig.instance({
      directories: [folder.path],
      pluginHost: { maxLoads: DISTINCT },
      preloads: [COLLECTS],
    });
    const load = async (n: number) => {
      await write(folder, n);
      return admin.load('changing');
    };
    const { slopes, last } = await repeat('Distinct contents', DISTINCT, instance, async (n) => {
      expect((await load(n)).status).toBe(200);
      expect((await admin.unload('changing')).status).toBe(200);
    });
    const { status, error } = await load(DISTINCT + 1);
    expect({ status, code: error.code }).toEqual({ status: 422, code: 'plugin_load_limit' });
    expect(error.message).toMatch(new RegExp(`changing.*${DISTINCT}.*restart`, 'is'));
    // What is known already costs nothing.
    expect((await load(1)).status).toBe(200);
    expect(slopes.heap).toBeLessThan(200);
    expect(last.staged).toBeLessThanOrEqual(DISTINCT + 1);
    await instance.stop();
    expect(await readdir(rig.staging)).toEqual([]);
  }, 120_000);
});

const write = (folder: PluginFolder, n: number): Promise<string> =>
  folder.write(
    'changing',
    writtenManager({ plugin: 'changing', version: `1.0.${n}`, priority: 5, line: `export const content = ${n};` }),
  );

/** Waits until a plugin that was unloaded is closed. */
async function settled(admin: AdminClient, name: string): Promise<void> {
  for (;;) {
    const status = (await admin.plugin(name))?.status;
    if (status === undefined || status === 'unloaded') return;
  }
}
