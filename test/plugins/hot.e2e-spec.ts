import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { nothingHeld } from '../support/coordinated-pair.js';
import type { AdminAnswer } from './support/admin-client.js';
import { OpenLoop } from './support/open-loop.js';
import { PluginRig } from './support/rig.js';
import { SnapshotBook } from './support/snapshot-book.js';
import { writtenManager, type WrittenManager } from './support/written-manager.js';

const RATE = Number(process.env['PLUGINS_RATE'] ?? 30);
const RAMP_MS = RATE > 50 ? 15_000 : 1_000;
const CHANGES = 100;
/** Answers that a version has to give before the script goes on. */
const EXERCISE = Number(process.env['PLUGINS_EXERCISE'] ?? 30);

/** The managers whose order the script changes: each answers when it comes first. */
const MOVED = ['hot', 'prefill-remote-decode-remote', 'remote'];

/** Of the audit of policies. */
interface Change {
  readonly version: number;
  readonly snapshot: string;
  readonly action: string;
}

describe(`managers that come and go under ${RATE} requests a second`, () => {
  let rig: PluginRig;
  let load: OpenLoop | undefined;

  beforeAll(async () => {
    rig = await PluginRig.start();
  });
  afterAll(async () => {
    await Promise.all([rig.stop(), load?.stop()]);
  });

  it('answer every request exactly as its snapshot says, and fail none', async () => {
    const folder = await rig.folder();
    const { instance, admin } = await rig.instance({ directories: [folder.path] });
    const write = (rest: Omit<WrittenManager, 'plugin' | 'priority'>): Promise<string> =>
      folder.write('hot', writtenManager({ plugin: 'hot', priority: -50, ...rest }));
    const book = new SnapshotBook();
    const steps: string[] = [];
    let stepAt = performance.now();
    const step = (what: string): void => {
      steps.push(`${what} ${(performance.now() - stepAt).toFixed(0)} ms`);
      stepAt = performance.now();
    };
    const noted = async (answer: AdminAnswer): Promise<string> => {
      expect({ status: answer.status, message: answer.error.message }).toEqual({ status: 200, message: '' });
      return book.note(admin);
    };
    await book.note(admin);

    const visitors = (load = new OpenLoop(instance.url, RATE, {}, RAMP_MS));
    const exercise = async (): Promise<void> => {
      const enough = visitors.count + EXERCISE;
      step('change');
      await eventually(`${EXERCISE} more answers`, () => visitors.count >= enough, 30_000);
      step('exercise');
    };
    await sleep(RAMP_MS);
    await exercise();

    await write({ version: '1.0.0' });
    await noted(await admin.load('hot'));
    await exercise();

    for (const broken of ['does not parse', 'throws at import'] as const) {
      await write({ version: '1.1.0', broken });
      const { status, error } = await admin.load('hot');
      expect({ status, code: error.code }).toEqual({ status: 422, code: 'plugin_import_failed' });
      expect(error.message).toContain('hot');
      expect(await admin.plugin('hot')).toMatchObject({ status: 'loaded', version: '1.0.0' });
      await book.note(admin);
      await exercise();
    }

    await write({ version: '2.0.0' });
    await noted(await admin.load('hot'));
    await exercise();
    await noted(await admin.unload('hot'));
    await exercise();
    await write({ version: '3.0.0' });
    await noted(await admin.load('hot'));
    await exercise();

    const before = (await admin.policies()).etag ?? '';
    for (let change = 0, etag = before; change < CHANGES; change += 1) {
      // Each comes first in its turn, and the others change places behind it.
      const managers = MOVED.map((name, index) => ({ name, priority: -100 + ((index + change) % MOVED.length) * 10 }));
      const answer = await admin.call(
        'PATCH',
        'policies',
        { managers, reason: `change ${change}` },
        { 'if-match': etag },
      );
      await noted(answer);
      etag = answer.etag ?? '';
    }
    await exercise();
    const stale = await admin.call(
      'PATCH',
      'policies',
      { managers: [{ name: 'hot', priority: 0 }] },
      { 'if-match': before },
    );
    expect(stale.status).toBe(412);

    await noted(await admin.call('POST', 'policies/rollback', { version: Number(before.replaceAll('"', '')) }));
    await exercise();
    const { history } = (await admin.call('GET', 'policies/history')).body as { history: readonly Change[] };
    const { seen, failures, rate, worstLatenessMs } = await visitors.stop();

    const complaints = seen.flatMap((one) => book.complaint(one) ?? []);
    const byManager = countBy(seen.map(({ manager, signature }) => signature ?? manager));
    const times = seen.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
    console.log(
      `${seen.length} requests at ${rate.toFixed(1)}/s (worst lateness ${worstLatenessMs.toFixed(0)} ms, median answer ` +
        `${times[times.length >> 1]?.toFixed(0)} ms, longest ${times.at(-1)?.toFixed(0)} ms), ${failures.length} failed, ` +
        `${complaints.length} by another manager than their snapshot says; ${book.size} snapshots; ` +
        `answered by ${JSON.stringify(byManager)}; the steps took: ${steps.join(', ')}`,
    );
    expect(failures.slice(0, 5)).toEqual([]);
    expect(complaints.slice(0, 5)).toEqual([]);
    // All of them had their turn, so that the comparison means something.
    expect(Object.keys(byManager).sort()).toEqual(['hot@1.0.0', 'hot@2.0.0', 'hot@3.0.0', ...MOVED.slice(1)].sort());
    expect(rate).toBeGreaterThan(RATE * 0.95);
    expect(history[0]).toMatchObject({ version: CHANGES + 1, action: 'rollback' });
    expect(history.filter(({ snapshot }) => !book.has(snapshot))).toEqual([]);
    await nothingHeld([rig.prefill, rig.decode]);
  }, 240_000);
});

function countBy(values: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
