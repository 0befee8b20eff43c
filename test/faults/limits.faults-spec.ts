import { afterAll, beforeAll } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { faultCases, type FaultCase } from './support/fault-case.js';
import { assertQuiet, baselineOf } from './support/quiet.js';
import { recordsOf } from './transport/client.js';
import { ask, type Got } from './upstream/ask.js';
import { startRig, type Rig } from './upstream/rig.js';

const KEYS = ['a', 'b', 'c', 'd'].map((label) => ({ label, key: `key-of-${label}-0123456789abcdef` }));
/** Of each of the two Ds, and of all that wait for them. */
const MOST_LEGS = 5;
const MOST_WAITING = 40;
const WAIT_MS = 2_000;
/** In ms, on a machine that does much else. */
const SLACK_MS = 2_500;
const LEASE_MS = 3_000;
const QUIET = { withinMs: LEASE_MS + 3_000, idleConnections: 300 };

let bounded: Rig;
let plain: Rig;
beforeAll(async () => {
  const flags = { prefill: { 'kv-lease-ms': LEASE_MS }, decode: { 'decode-us-per-token': 2_000 } };
  const pool = (name: string): Record<string, string> => ({
    [`BATON_COORDINATION_${name}_MAX_IN_FLIGHT`]: String(MOST_LEGS),
    [`BATON_COORDINATION_${name}_MAX_WAITING`]: String(MOST_WAITING),
    [`BATON_COORDINATION_${name}_WAIT_TIMEOUT_MS`]: String(WAIT_MS),
  });
  [bounded, plain] = await Promise.all([
    startRig({
      flags,
      settings: {
        ...pool('DECODE'),
        BATON_SECURITY_CLIENT_KEYS: KEYS.map(({ label, key }) => `${label}:${key}`).join(','),
      },
    }),
    startRig({ flags }),
  ]);
});
afterAll(() => Promise.all([bounded.stop(), plain.stop()]));

/** Watches how many legs run at once on the Ds, until told to stop. */
function mostRunning({ decodes }: Rig): () => Promise<number> {
  const over = new AbortController();
  const watching = (async () => {
    let most = 0;
    while (!over.signal.aborted) {
      const states = await Promise.all(decodes.map((decode) => decode.get('state')));
      for (const { running, waiting } of states) most = Math.max(most, Number(running) + Number(waiting));
      await sleep(20);
    }
    return most;
  })();
  return () => {
    over.abort();
    return watching;
  };
}

const exhausted: FaultCase = {
  id: 'R28',
  title: 'a pool with room for 10 has 200 clients: a bounded queue, early refusals, and fair between keys',
  runs: { scaled: 100, full: 2_000 },
  run: async (trial) => {
    const { instance, decodes, watched } = bounded;
    const baseline = await baselineOf(watched);
    const until = performance.now() + (trial.isFull ? 30_000 : 3_000);
    // So slow that its places are what there is too little of, whatever the machine can do.
    await Promise.all(decodes.map((decode) => decode.misbehave([{ kind: 'slow', at: 'head', ms: 300 }])));
    const running = mostRunning(bounded);
    const served = new Map(KEYS.map(({ label }) => [label, 0]));
    let refused = 0;
    // One key has by far the most clients.
    const client = async (index: number): Promise<void> => {
      const { label, key } = KEYS[index < 140 ? 0 : index % 4] ?? { label: '', key: '' };
      while (performance.now() < until) {
        const got = await ask(instance.url, 'Crowd', { tokens: 5, key });
        trial.worst('longest', got.ms, 'ms');
        if (got.ms > WAIT_MS + SLACK_MS) trial.failed(`${got.status} after ${Math.round(got.ms)} ms`);
        if (got.status === 200 && got.errors === 0) served.set(label, (served.get(label) ?? 0) + 1);
        else if (got.status === 503 && got.code === 'remote_busy' && got.retryAfter !== null) refused += 1;
        else trial.failed(`${got.status} ${String(got.code)}, Retry-After ${got.retryAfter}`);
        if (got.status !== 200) await sleep(50);
      }
    };
    await Promise.all(Array.from({ length: 200 }, (_, index) => client(index)));
    trial.injected(refused);
    await Promise.all(decodes.map((decode) => decode.misbehave([])));
    const most = await running();
    trial.worst('legs on one D', most, '');
    if (most > MOST_LEGS) trial.failed(`${most} legs on one D`);
    const counts = [...served.values()];
    const ratio = Math.max(...counts) / Math.max(1, Math.min(...counts));
    trial.worst('served, most to least', ratio, '');
    if (ratio > 3) trial.failed(`not fair: ${JSON.stringify([...served])}`);
    await assertQuiet(trial, baseline, QUIET);
  },
};

const slowSides: FaultCase = {
  id: 'R16',
  title: 'P, then D, takes five times as long: at twice the load that it can take, the queue is bounded and it gets on',
  runs: { scaled: 2, full: 4 },
  boundMs: { scaled: 60_000, full: 300_000 },
  run: async (trial) => {
    const { instance, prefill, decodes, watched } = bounded;
    const baseline = await baselineOf(watched);
    const expired = (): Promise<number> =>
      instance.metric('baton_handoffs_settled_total', { outcome: 'lease_expired' });
    const seconds = trial.isFull ? 20 : 2;
    for (let run = 0; run < trial.runs; run += 1) {
      const slow = run % 2 === 0 ? decodes : [prefill];
      const before = await expired();
      // 10 places of 200 ms each.
      await Promise.all(slow.map((each) => each.misbehave([{ kind: 'slow', at: 'head', ms: 200 }])));
      const capacity = 50 * seconds;
      const asked: Promise<Got>[] = [];
      const start = performance.now();
      for (let index = 0; index < 2 * capacity; index += 1) {
        const dueMs = (index * seconds * 1_000) / (2 * capacity);
        await sleep(Math.max(0, start + dueMs - performance.now()));
        asked.push(ask(instance.url, 'Slow', { tokens: 2, key: KEYS[index % 4]?.key ?? '' }));
      }
      const answers = await Promise.all(asked);
      await Promise.all(slow.map((each) => each.misbehave([])));
      trial.injected();
      const good = answers.filter(({ status, errors }) => status === 200 && errors === 0).length;
      for (const { status, code, ms } of answers) {
        trial.worst('longest', ms, 'ms');
        if (status !== 200 && code !== 'remote_busy') trial.failed(`${status} ${String(code)}`);
        if (ms > WAIT_MS + SLACK_MS) trial.failed(`${status} after ${Math.round(ms)} ms`);
      }
      trial.worst('refused', answers.length - good, '');
      if (good < 0.9 * capacity) trial.failed(`${good} of a capacity of ${capacity}`);
      const gaps = (await expired()) - before;
      trial.worst('leases that ended', gaps, '');
    }
    await assertQuiet(trial, baseline, QUIET);
  },
};

/** What a client may hear of a D that failed. */
const FAILURES = new Set(['remote_busy', 'remote_failed', 'remote_reset']);

const duplicates: FaultCase = {
  id: 'R20',
  title: 'D fails before its work, and in the middle of it: nothing is computed twice, no token comes twice',
  runs: { scaled: 12, full: 300 },
  run: async (trial) => {
    const { instance, decodes, watched } = plain;
    const baseline = await baselineOf(watched);
    const right = (await ask(decodes[0].url, 'Twice', { tokens: 8 })).said;
    const kinds = [
      { kind: 'http_status', status: 503 },
      { kind: 'reset', at: 'head' },
      { kind: 'reset', afterTokens: 3 },
    ] as const;
    for (const fault of kinds) {
      await Promise.all(
        decodes.map((decode) =>
          decode.misbehave([{ ...fault, probability: 0.5, seed: trial.random.below(1_000_000) }]),
        ),
      );
      await Promise.all(decodes.map((decode) => decode.forget()));
      for (let index = 0; index < trial.runs; index += 1) {
        const { said, status, errors, code } = await ask(instance.url, 'Twice', { tokens: 8 });
        if (!right.startsWith(said)) trial.failed(`it said ${JSON.stringify(said)}`);
        if (status === 200 && errors === 0 && said !== right) trial.failed('an answer is not whole');
        if (errors > 0 && !FAILURES.has(String(code))) trial.failed(`${status} ${String(code)}`);
      }
      const asked = (await Promise.all(decodes.map((decode) => recordsOf(decode)))).flat();
      const worked = asked.filter(({ tokens }) => tokens > 0).length;
      trial.injected(asked.filter(({ faults }) => faults.length > 0).length);
      if (worked > trial.runs) trial.failed(`${worked} legs were computed`);
      // Of those that were sent, some only free the KV that nobody else has taken.
      trial.worst(`${fault.kind}: legs for a request`, asked.length / trial.runs, '');
    }
    await Promise.all(decodes.map((decode) => decode.misbehave([])));
    await assertQuiet(trial, baseline, QUIET);
  },
};

const storm: FaultCase = {
  id: 'R21',
  title: 'every D says 503 at 200 requests a second: retries stay within their budget, and it recovers at once',
  runs: { scaled: 100, full: 2_000 },
  run: async (trial) => {
    const { instance, decodes, watched } = plain;
    const baseline = await baselineOf(watched);
    await Promise.all(decodes.map((decode) => decode.misbehave([{ kind: 'http_status', status: 503 }])));
    const retries = (): Promise<number> => instance.metric('baton_decode_retries_total');
    const before = await retries();
    const seconds = trial.isFull ? 20 : 2;
    const start = performance.now();
    const asked: Promise<Got>[] = [];
    for (let index = 0; index < 200 * seconds; index += 1) {
      await sleep(Math.max(0, start + index * 5 - performance.now()));
      asked.push(ask(instance.url, 'Storm', { tokens: 1 }));
    }
    const answers = await Promise.all(asked);
    const tookSeconds = (performance.now() - start) / 1_000;
    trial.injected(answers.filter(({ code }) => code === 'remote_busy').length);
    const made = (await retries()) - before;
    trial.worst('retries for a request', made / answers.length, '');
    if (made > 0.2 * answers.length + 10 * (tookSeconds + 1)) trial.failed(`${made} retries`);
    await Promise.all(decodes.map((decode) => decode.misbehave([])));
    const recovered = await eventually(
      'it has recovered',
      async () => {
        const got = await Promise.all(Array.from({ length: 6 }, () => ask(instance.url, 'Calm', { tokens: 1 })));
        return got.every(({ status }) => status === 200);
      },
      5_000,
    );
    trial.worst('recovered after', recovered, 'ms');
    await assertQuiet(trial, baseline, QUIET);
  },
};

faultCases('limits of remotes', [exhausted, slowSides, duplicates, storm]);
