import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { RequestRecord } from '../../apps/simulator/src/http/request-record.js';
import type { KvLife } from '../../apps/simulator/src/ledger/kv-lives.js';
import { eventually } from '../support/eventually.js';
import type { InstanceProcess } from '../support/instance-process.js';
import { ask, FLOWS } from '../support/requests.js';
import { SimulatorProcess } from '../support/simulator-process.js';
import type { AdminClient } from './support/admin-client.js';
import { PluginRig } from './support/rig.js';

const PLUGINS = fileURLToPath(new URL('../../plugins', import.meta.url));
const MANIFEST = fileURLToPath(new URL('../../plugins/hedged-prefill/package.json', import.meta.url));
const DELAY_MS = 100;
const PROMPT = 'A prompt that is longer than a block of sixteen tokens.';
const HANGING_MS = 60_000;

describe('hedged-prefill, in front of three simulators', () => {
  let rig: PluginRig;
  let other: SimulatorProcess;
  let instance: InstanceProcess;
  let admin: AdminClient;
  let name: string;

  const recordsOf = async (simulator: SimulatorProcess): Promise<readonly RequestRecord[]> =>
    (await simulator.get('requests')) as unknown as readonly RequestRecord[];
  const livesOf = async (simulator: SimulatorProcess): Promise<readonly KvLife[]> =>
    (await simulator.get('kv')) as unknown as readonly KvLife[];
  const heldBy = async (simulator: SimulatorProcess): Promise<readonly unknown[]> =>
    (await simulator.get('ledger'))['held'] as readonly unknown[];
  const simulators = (): readonly SimulatorProcess[] => [rig.prefill, other, rig.decode];
  const question = (stream: boolean) => ask(instance.url, FLOWS[0]!, FLOWS[0]!.body(PROMPT, [], 4), { stream });

  /** Nothing is held, on either side, and no KV was left to its lease. */
  async function settled(): Promise<void> {
    await eventually('Baton owes nothing', async () => (await instance.metrics())('baton_handoffs_open') === 0);
    for (const simulator of simulators()) {
      await eventually('no KV is held', async () => (await heldBy(simulator)).length === 0);
      for (const { freedBy } of await livesOf(simulator)) expect(freedBy).not.toMatch(/lease|expired/);
    }
  }

  /** The prefill legs that each of the two has got, the slow one first. */
  const prefillLegs = async (): Promise<readonly [readonly RequestRecord[], readonly RequestRecord[]]> => [
    await recordsOf(rig.prefill),
    await recordsOf(other),
  ];

  beforeAll(async () => {
    ({ name } = JSON.parse(await readFile(MANIFEST, 'utf8')) as { name: string });
    rig = await PluginRig.start();
    other = await SimulatorProcess.start({ dialect: 'vllm', kv: 'nixl' });
    ({ instance, admin } = await rig.instance({
      directories: [PLUGINS],
      plugins: { [name]: { delayMs: DELAY_MS, maxPercent: 100 } },
      coordination: { prefill: { dialect: 'vllm', endpoints: [rig.prefill.url, other.url] } },
    }));
  });
  afterAll(async () => {
    await other.stop();
    await rig.stop();
  });

  it('is loaded, and asked only when it is switched on', async () => {
    expect(await admin.plugin(name)).toMatchObject({ status: 'loaded', provides: ['manager:hedged-prefill'] });
    expect((await question(false)).headers.get('x-baton-manager')).not.toBe('hedged-prefill');
    const managers = [{ name: 'hedged-prefill', enabled: true, priority: -100 }];
    expect(await admin.call('PATCH', 'policies', { managers })).toMatchObject({ status: 200 });
    expect((await question(false)).headers.get('x-baton-manager')).toBe('hedged-prefill');
    await settled();
  });

  it.each([
    ['closes a P that hangs', HANGING_MS, false],
    ['closes a P that hangs, under a stream', HANGING_MS, true],
    ['frees the KV of a P that answers late', 2 * DELAY_MS, false],
    ['frees the KV of a P that answers late, under a stream', 2 * DELAY_MS, true],
  ])('%s', async (_what, ms, stream) => {
    for (const simulator of simulators()) await simulator.forget();
    await rig.prefill.misbehave([{ kind: 'slow', at: 'prefill', ms, where: 'prefill' }]);
    // The endpoints take turns, so one of two begins on the slow one.
    for (let turn = 0; turn < 2; turn += 1) {
      const startedAt = performance.now();
      const { status, finishReason, headers } = await question(stream);
      expect([status, finishReason, headers.get('x-baton-manager')]).toEqual([200, 'length', 'hedged-prefill']);
      expect(performance.now() - startedAt).toBeLessThan(10_000);
    }
    const [slow, fast] = await prefillLegs();
    expect(slow.length).toBeGreaterThanOrEqual(1);
    expect(fast.length).toBe(2);
    await settled();
    await rig.prefill.misbehave([]);
    const [slowLegs] = await prefillLegs();
    if (ms === HANGING_MS) for (const { outcome } of slowLegs) expect(outcome).toBe('aborted');
    // Each KV that was handed over was fetched, also for nobody.
    const made = (await Promise.all([livesOf(rig.prefill), livesOf(other)])).flat().filter(({ madeAtMs }) => madeAtMs);
    const fetched = (await recordsOf(rig.decode)).length;
    expect(fetched).toBe(made.length);
    expect(fetched).toBeGreaterThanOrEqual(2);
  });
});
