import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Fault } from '../../apps/simulator/src/faults/fault.js';
import { startCoordinator, type Coordinator } from '../support/coordinator.js';
import { eventually } from '../support/eventually.js';
import { FLOWS } from '../support/requests.js';
import type { SimulatorProcess } from '../support/simulator-process.js';
import { ALL_ASKED, ask, bodyOf, type Asked, type Heard } from './support/client.js';
import { countersOf, moved } from './support/counters.js';
import { befallen, recordsOf, Scene } from './support/scene.js';

const ASKED: Asked = { flow: FLOWS[0]!, stream: true };
const complete = { 'stream_end complete': 1, 'handoffs_settled taken': 1 };

interface Refusal {
  readonly what: string;
  readonly fault: Fault;
  /** The label of the metric. */
  readonly reason: string;
  /** What the client sees when no P takes the request. */
  readonly status: number;
  readonly code: string;
}

const failed = { reason: 'failed', status: 502, code: 'remote_failed' };
const busy = { reason: 'busy', status: 503, code: 'remote_busy' };

const REFUSALS: readonly Refusal[] = [
  ...[502, 504].map((status): Refusal => ({ what: `${status}`, fault: { kind: 'http_status', status }, ...failed })),
  { what: '503', fault: { kind: 'http_status', status: 503, shape: 'html' }, ...busy },
  { what: 'no admission', fault: { kind: 'admission_503' }, ...busy },
];

const NOT_RETRIED: readonly { what: string; fault: Fault; status: number }[] = [
  { what: '400', fault: { kind: 'http_status', status: 400 }, status: 400 },
  { what: '429', fault: { kind: 'http_status', status: 429 }, status: 503 },
  { what: '500', fault: { kind: 'http_status', status: 500 }, status: 502 },
  { what: 'a reset before the head', fault: { kind: 'reset', at: 'head' }, status: 502 },
];

/** Who is asked next: of two that are asked in turn, the one that the last request did not go to. */
async function turns(scene: Scene): Promise<{ next: SimulatorProcess; other: SimulatorProcess }> {
  const [one, two] = scene.cast.prefills as [SimulatorProcess, SimulatorProcess];
  await one.forget();
  await ask(scene.url, ASKED);
  const wasOne = (await recordsOf(one)).length === 1;
  return wasOne ? { next: two, other: one } : { next: one, other: two };
}

describe('a P that cannot take a request', () => {
  let coordinator: Coordinator;
  let scene: Scene;
  let right: string;

  beforeAll(async () => {
    // With a budget that no test here exhausts.
    const settings = { BATON_COORDINATION_RETRY_BUDGET_PER_SECOND: '1000' };
    coordinator = await startCoordinator({ prefills: 2, settings });
    scene = new Scene(coordinator);
    right = (await ask(scene.url, ASKED)).said;
  });
  afterAll(() => coordinator.stop());

  it.each(REFUSALS)('$what: another P is asked, the client notices nothing', async ({ fault, reason }) => {
    for (const flow of FLOWS) {
      const { next, other } = await turns(scene);
      const played = await scene.play({}, async () => {
        await next.misbehave([{ ...fault, where: 'prefill' }]);
        const heard = await ask(scene.url, { flow, stream: true });
        expect(befallen(await recordsOf(next), fault.kind)).toBe(1);
        expect(await recordsOf(other)).toMatchObject([{ outcome: 'complete', faults: [] }]);
        return heard;
      });
      expect(played.result).toMatchObject({ status: 200, finish: 'length', error: undefined });
      expect(played.moved).toEqual({ ...complete, [`prefill_retries ${reason}`]: 1 });
      expect(played.decode).toHaveLength(1);
    }
  });

  it.each(REFUSALS)('$what of every P, once: the first is asked again a little later', async ({ fault, reason }) => {
    const played = await scene.play({ prefill: [{ ...fault, where: 'prefill', times: 1 }] }, () =>
      ask(scene.url, ASKED),
    );
    expect([played.result.status, played.result.said]).toEqual([200, right]);
    expect(played.moved).toEqual({ ...complete, [`prefill_retries ${reason}`]: 2 });
    const [first, second, third] = [...played.prefill].sort((a, b) => a.atMs - b.atMs);
    expect([first!.faults.length, second!.faults.length, third!.faults.length]).toEqual([1, 1, 0]);
    // 50 to 150 ms; the clocks are exact to some ms.
    expect(third!.atMs - second!.atMs).toBeGreaterThanOrEqual(45);
  });

  it.each(REFUSALS)('$what of every P, always: three tries, then an error', async ({ fault, reason, status, code }) => {
    const played = await scene.play({ prefill: [{ ...fault, where: 'prefill' }] }, () => ask(scene.url, ASKED));
    expect(played.result).toMatchObject({ status, isStream: false, error: { code } });
    expect(played.moved).toEqual({ 'stream_end upstream_error': 1, [`prefill_retries ${reason}`]: 2 });
    expect([befallen(played.prefill, fault.kind), played.prefill.length, played.decode.length]).toEqual([3, 3, 0]);
  });

  it.each(NOT_RETRIED)('$what: not asked again, nor is another', async ({ fault, status }) => {
    const played = await scene.play({ prefill: [{ ...fault, where: 'prefill' }] }, () => ask(scene.url, ASKED));
    expect(played.result).toMatchObject({ status, isStream: false });
    const reason = status === 400 ? 'client_error' : 'upstream_error';
    expect(played.moved).toEqual({ [`stream_end ${reason}`]: 1 });
    expect([befallen(played.prefill, fault.kind), played.prefill.length]).toEqual([1, 1]);
  });

  it('a health that says 503 refuses nobody', async () => {
    const played = await scene.play({ prefill: [{ kind: 'health_503' }] }, async () => {
      const health = await fetch(`${coordinator.prefills[0]!.url}/health`);
      return { health: health.status, heard: await ask(scene.url, ASKED) };
    });
    expect([played.result.health, played.result.heard.said, played.moved]).toEqual([503, right, complete]);
  });
});

describe('the budget of retries', () => {
  it('is a share of the requests', async () => {
    const settings = {
      BATON_COORDINATION_RETRY_BUDGET_PERCENT: '20',
      BATON_COORDINATION_RETRY_BUDGET_PER_SECOND: '0',
    };
    const coordinator = await startCoordinator({ prefills: 2, settings });
    try {
      const scene = new Scene(coordinator);
      const refuseOnce = async (): Promise<Heard> => {
        const { next } = await turns(scene);
        await next.misbehave([{ kind: 'admission_503', times: 1 }]);
        return ask(scene.url, ASKED);
      };
      const before = await countersOf(coordinator.instance);
      for (let request = 0; request < 3; request++) await ask(scene.url, ASKED);
      // The fourth is sent by `turns`; the fifth pays for the first retry.
      expect((await refuseOnce()).status).toBe(200);
      // Two more pay for less than half of one.
      expect(await refuseOnce()).toMatchObject({ status: 503, error: { code: 'remote_busy' } });
      await scene.quiet();
      expect(moved(before, await countersOf(coordinator.instance))).toEqual({
        ...{ 'stream_end complete': 6, 'stream_end upstream_error': 1 },
        ...{ 'handoffs_settled taken': 6, 'prefill_retries busy': 1 },
      });
    } finally {
      await coordinator.stop();
    }
  });
});

describe('a process that is gone', () => {
  let coordinator: Coordinator;
  let scene: Scene;

  const start = async (prefills: number): Promise<void> => {
    coordinator = await startCoordinator({ prefills, flags: { 'kv-lease-ms': 500 } });
    scene = new Scene(coordinator);
  };
  afterEach(() => coordinator.stop());

  it('P: the other one is asked, and nothing of it is prefilled twice', async () => {
    await start(2);
    const { next, other } = await turns(scene);
    await scene.quiet();
    await next.stop();
    await other.forget();
    const before = await countersOf(coordinator.instance);
    for (const asked of ALL_ASKED) expect((await ask(scene.url, asked)).status).toBe(200);
    const counters = moved(before, await countersOf(coordinator.instance));
    // Asked in turn, it is met by the first request and, since the retry went to the other, by every later one.
    expect(counters).toEqual({
      ...{ 'stream_end complete': 6, 'handoffs_settled taken': 6 },
      'prefill_retries connect': counters['prefill_retries connect'],
    });
    expect(counters['prefill_retries connect']).toBeGreaterThanOrEqual(3);
    expect(await recordsOf(other)).toHaveLength(ALL_ASKED.length);
  });

  it('D, in the middle of an answer: an error event, never silence; then errors, and leases that end', async () => {
    await start(1);
    const [prefill, { decode, instance }] = [coordinator.prefills[0]!, coordinator];
    await decode.misbehave([{ kind: 'hang', at: 'token', afterTokens: 2 }]);
    const before = await countersOf(instance);
    const answer = ask(scene.url, ASKED, { body: bodyOf(ASKED) });
    await eventually('two tokens', async () => (await recordsOf(decode))[0]?.tokens === 2);
    await decode.stop('SIGKILL');
    expect(await answer).toMatchObject({ status: 200, isDone: true, error: { code: 'remote_reset' } });
    const broken = await countersOf(instance);
    expect(moved(before, broken)).toEqual({ 'stream_end upstream_error': 1, 'handoffs_settled taken': 1 });

    expect(await ask(scene.url, ASKED)).toMatchObject({
      status: 502,
      isStream: false,
      error: { code: 'remote_connect' },
    });
    const idle = async (): Promise<boolean> => {
      const { blocksFree, blocksTotal } = await prefill.get('state');
      return blocksFree === blocksTotal && (await instance.metric('baton_handoffs_open')) === 0;
    };
    await eventually('the lease has ended', idle, 3_000);
    expect(moved(broken, await countersOf(instance))).toMatchObject({
      ...{ 'stream_end upstream_error': 1, 'handoffs_settled lease_expired': 1 },
    });
    expect((await prefill.get('ledger'))['freed']).toMatchObject({ lease_expired: 1 });
  });
});
