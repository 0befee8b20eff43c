import { afterAll, beforeAll } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { faultCases, type FaultCase } from './support/fault-case.js';
import { assertQuiet, baselineOf } from './support/quiet.js';
import { recordsOf } from './transport/client.js';
import type { RequestRecord } from '../../apps/simulator/src/http/request-record.js';
import { ask, type Got } from './upstream/ask.js';
import { mostAtOnce, retriesAmong } from './upstream/legs.js';
import { startRig, type Rig } from './upstream/rig.js';

const KEYS = ['a', 'b', 'c', 'd'].map((label) => ({ label, key: `key-of-${label}-0123456789abcdef` }));
/** Of each of the two Ds, and of all that wait for them. */
const MOST_LEGS = 5;
const MOST_WAITING = 20;
const WAIT_MS = 2_000;
/** Of P, which refuses nobody before D's turn has come. */
const MOST_PREFILLS = {
  BATON_COORDINATION_PREFILL_MAX_IN_FLIGHT: '10',
  BATON_COORDINATION_PREFILL_WAIT_TIMEOUT_MS: '2000',
};
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
        ...MOST_PREFILLS,
        BATON_SECURITY_CLIENT_KEYS: KEYS.map(({ label, key }) => `${label}:${key}`).join(','),
      },
    }),
    startRig({ flags }),
  ]);
});
afterAll(() => Promise.all([bounded.stop(), plain.stop()]));

/** Legs of clients: what frees KV asks for one token, and is not held up by the bounds of the pool. */
const ofClients = (legs: readonly RequestRecord[]): RequestRecord[] =>
  legs.filter(({ body }) => Number(body['max_tokens']) > 1);

/** So long that what there is too little of is places, and not time of the processor, which is shared out to none in turn. */
const SLOW_LEG_MS = 1_000;

const exhausted: FaultCase = {
  id: 'R28',
  title: 'a pool with room for 10 has 200 clients: a bounded queue, early refusals, and fair between keys',
  runs: { scaled: 100, full: 2_000 },
  run: async (trial) => {
    const { instance, decodes, watched } = bounded;
    const baseline = await baselineOf(watched);
    // They come one after another; what is shared out is looked at when all have.
    const from = performance.now() + 1_500;
    const until = from + (trial.isFull ? 30_000 : 4_000);
    await Promise.all(decodes.map((decode) => decode.misbehave([{ kind: 'slow', at: 'head', ms: SLOW_LEG_MS }])));
    await Promise.all(decodes.map((decode) => decode.forget()));
    const served = new Map(KEYS.map(({ label }) => [label, 0]));
    let refused = 0;
    // One key has by far the most clients.
    const client = async (index: number): Promise<void> => {
      const { label, key } = KEYS[index % 10 < 7 ? 0 : index % 4] ?? { label: '', key: '' };
      await sleep(index * 5);
      while (performance.now() < until) {
        const got = await ask(instance.url, 'Crowd', { tokens: 5, key });
        trial.worst('longest', got.ms, 'ms');
        // It may wait for P, and then for D.
        if (got.ms > 2 * WAIT_MS + SLOW_LEG_MS + SLACK_MS) trial.failed(`${got.status} after ${Math.round(got.ms)} ms`);
        if (got.status === 200 && got.errors === 0) {
          if (performance.now() > from) served.set(label, (served.get(label) ?? 0) + 1);
        } else if (got.status === 503 && got.code === 'remote_busy' && got.retryAfter !== null) refused += 1;
        else trial.failed(`${got.status} ${String(got.code)}, Retry-After ${got.retryAfter}`);
        // As it was told, so that what is too little is the places of the pool, and not the processor that says no.
        if (got.status !== 200) await sleep(Number(got.retryAfter) * 1_000 * (1 + trial.random.below(1_000) / 1_000));
      }
    };
    await Promise.all(Array.from({ length: 200 }, (_, index) => client(index)));
    trial.injected(refused);
    await Promise.all(decodes.map((decode) => decode.misbehave([])));
    for (const decode of decodes) {
      const legs = await recordsOf(decode);
      const most = mostAtOnce(ofClients(legs));
      trial.worst('legs on one D', most, '');
      if (most > MOST_LEGS) trial.failed(`${most} legs on one D`);
      trial.worst('and legs that free KV', mostAtOnce(legs) - most, '');
    }
    const counts = [...served.values()];
    trial.worst(
      'served',
      counts.reduce((sum, count) => sum + count),
      '',
    );
    const ratio = Math.max(...counts) / Math.max(1, Math.min(...counts));
    trial.worst('served, most to least', ratio, '');
    if (ratio > 3) trial.failed(`not fair: ${JSON.stringify([...served])}`);
    await assertQuiet(trial, baseline, QUIET);
  },
};

/** What is served when there are always a few more than there is room for. */
async function servedPerSecond(url: string): Promise<number> {
  const start = performance.now();
  let served = 0;
  const client = async (index: number): Promise<void> => {
    while (performance.now() - start < 1_000) {
      const { status } = await ask(url, 'Slow', { tokens: 2, key: KEYS[index % 4]?.key ?? '' });
      if (status === 200) served += 1;
    }
  };
  await Promise.all(Array.from({ length: 14 }, (_, index) => client(index)));
  return (served * 1_000) / (performance.now() - start);
}

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
      // 10 places of 200 ms each, less what this machine needs besides.
      await Promise.all(slow.map((each) => each.misbehave([{ kind: 'slow', at: 'head', ms: 200 }])));
      const capacity = Math.floor((await servedPerSecond(instance.url)) * seconds);
      trial.worst('capacity', capacity / seconds, 'a second');
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
      if (gaps > 0) trial.failed(`${gaps} leases ended`);
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

/** Of all requests, and in each second besides: what the budget gives by default. */
const RETRY_SHARE = 0.2;
const FREE_RETRIES = 10;
/** That is 0.24 for each at the rate of the storm. */
const MOST_RETRIES = 0.25;
const STORM_PER_SECOND = 250;

const storm: FaultCase = {
  id: 'R21',
  title: 'all peers say 503 at 250 requests a second: retries stay within their budget, and it recovers at once',
  runs: { scaled: 100, full: 2_000 },
  run: async (trial) => {
    const { instance, prefill, decodes, watched } = plain;
    const baseline = await baselineOf(watched);
    const peers = [prefill, ...decodes];
    await Promise.all(peers.map((peer) => peer.misbehave([{ kind: 'http_status', status: 503 }])));
    await prefill.forget();
    const start = performance.now();
    const asked: Promise<Got>[] = [];
    while (asked.length < STORM_PER_SECOND * (trial.isFull ? 21 : 3)) {
      await sleep(Math.max(0, start + (asked.length * 1_000) / STORM_PER_SECOND - performance.now()));
      asked.push(ask(instance.url, `Storm ${asked.length}`, { tokens: 2 }));
    }
    const answers = await Promise.all(asked);
    trial.injected(answers.filter(({ code }) => code === 'remote_busy').length);
    const { first, retries } = retriesAmong(await recordsOf(prefill));
    const told = await instance.metric('baton_prefill_retries_total');
    if (told < retries.length) trial.failed(`${retries.length} legs were sent again, ${told} are told of`);
    // The first second spends what quiet times have saved.
    const steadyMs = (first[0]?.atMs ?? 0) + 1_000;
    const later = first.filter(({ atMs }) => atMs >= steadyMs).length;
    const made = retries.filter(({ failedAtMs }) => failedAtMs >= steadyMs).length;
    const seconds = ((first.at(-1)?.atMs ?? 0) - steadyMs) / 1_000;
    trial.worst('retries for a request', made / later, '');
    if (made === 0) trial.failed('nothing was tried again');
    // What the budget gives, and a second's worth at once.
    const most = RETRY_SHARE * later + FREE_RETRIES * (seconds + 1);
    if (made > most) trial.failed(`${made} retries of ${later} requests in ${seconds} s: more than ${most}`);
    if (trial.isFull && made > MOST_RETRIES * later) trial.failed(`${made} retries of ${later} requests`);
    const delays = retries.map(({ afterMs }) => afterMs).sort((one, other) => one - other);
    const delayOf = (share: number): number => delays[Math.floor((delays.length - 1) * share)] ?? 0;
    trial.worst('shortest delay of a retry', delayOf(0), 'ms');
    trial.worst('longest delay of a retry', delayOf(1), 'ms');
    // Spread over 100 ms: half of them lie in the 50 ms in the middle.
    if (delayOf(0.75) - delayOf(0.25) < 25)
      trial.failed(`retries come at once: ${delayOf(0.25)} to ${delayOf(0.75)} ms`);
    await Promise.all(peers.map((peer) => peer.misbehave([])));
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
