import { afterAll, beforeAll } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { faultCases, type FaultCase } from './support/fault-case.js';
import { assertQuiet, baselineOf } from './support/quiet.js';
import { recordsOf } from './transport/client.js';
import { demand, movedSince, snapshotOf } from './transport/counts.js';
import { ask } from './upstream/ask.js';
import { BlackHole } from './upstream/black-hole.js';
import { startRig, stateOf, type Rig } from './upstream/rig.js';

const IDLE_MS = 1_000;
const TOTAL_MS = 3_000;
const CONNECT_MS = 1_000;
/** In ms, on a machine that does much else. */
const SLACK_MS = 2_500;
const LEASE_MS = 1_500;
const QUIET = { withinMs: 2 * LEASE_MS + 2_000 };

const flags = {
  prefill: { 'kv-lease-ms': LEASE_MS },
  decode: { 'decode-us-per-token': 10_000, 'sse-ping-ms': 50 },
};

const together = <T>(count: number, each: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, each));

let rig: Rig;
let hole: BlackHole;
let beforeHole: Rig;
beforeAll(async () => {
  hole = await BlackHole.open();
  [rig, beforeHole] = await Promise.all([
    startRig({
      flags,
      settings: {
        BATON_COORDINATION_DECODE_HEAD_TIMEOUT_MS: String(IDLE_MS),
        BATON_COORDINATION_DECODE_FIRST_TOKEN_TIMEOUT_MS: String(IDLE_MS),
        BATON_COORDINATION_DECODE_IDLE_TIMEOUT_MS: String(IDLE_MS),
        BATON_COORDINATION_DECODE_TOTAL_TIMEOUT_MS: String(TOTAL_MS),
        BATON_COORDINATION_DECODE_BREAKER_OPEN_MS: '500',
      },
    }),
    startRig({ flags, alsoDecodes: [hole.url] }),
  ]);
});
afterAll(async () => {
  await Promise.all([rig.stop(), beforeHole.stop()]);
  hole.stop();
});

const stopped: FaultCase = {
  id: 'R14',
  title: 'D is stopped (SIGSTOP) in the middle of streams: they end in time, and those on another D do not notice',
  runs: { scaled: 1, full: 5 },
  boundMs: { scaled: 60_000, full: 300_000 },
  run: async (trial) => {
    const { instance, decodes, watched } = rig;
    const [first, second] = decodes;
    const baseline = await baselineOf(watched);
    const right = (await ask(second.url, 'Once', { tokens: 60 })).said;
    for (let run = 0; run < trial.runs; run += 1) {
      await Promise.all(decodes.map((decode) => decode.forget()));
      const streams = Array.from({ length: 10 }, () => ask(instance.url, 'Once', { tokens: 60 }));
      const isDecoding = async (): Promise<boolean> =>
        (await recordsOf(first)).filter(({ tokens }) => tokens > 2).length === 5;
      await eventually('half of the streams are under way on D', isDecoding);
      process.kill(first.pid, 'SIGSTOP');
      const at = performance.now();
      await eventually('D is stopped', async () => (await stateOf(first.pid)) === 'T');
      trial.injected();
      let cut = 0;
      for (const stream of streams) {
        const { said, errors, isDone, code } = await stream;
        if (!isDone) trial.failed('a stream has no end mark');
        if (errors === 0 && said === right) continue;
        cut += 1;
        trial.worst('cut after', performance.now() - at, 'ms');
        if (errors !== 1 || code !== 'remote_timeout') trial.failed(`a stream ended with ${errors} ${String(code)}`);
        if (!right.startsWith(said)) trial.failed('a stream said what is not right');
      }
      if (cut !== 5) trial.failed(`${cut} of 10 streams were cut, not 5`);
      if (performance.now() - at > IDLE_MS + SLACK_MS) trial.failed('streams ended late');
      if (trial.isFull) await sleep(10_000);
      // New ones: about half of them meet the D that is stopped, until it is left alone.
      const answers = await together(24, () => ask(instance.url, 'Once', { tokens: 2 }));
      const failed = answers.filter(({ status }) => status !== 200);
      if (failed.length > 14) trial.failed(`${failed.length} of 24 failed`);
      const after = await together(10, () => ask(instance.url, 'Once', { tokens: 2 }));
      const lost = after.filter(({ status }) => status !== 200).length;
      // One finds out whether it is back.
      if (lost > 1) trial.failed(`${lost} of 10 failed although D is known to be down`);
      for (const { ms } of after.filter(({ status }) => status === 200)) trial.worst('on the other D', ms, 'ms');
      process.kill(first.pid, 'SIGCONT');
      await eventually('D is used again', async () => {
        await together(2, () => ask(instance.url, 'Once', { tokens: 2 }));
        const answered = await together(4, () => ask(instance.url, 'Once', { tokens: 2 }));
        return answered.every(({ status }) => status === 200);
      });
    }
    await assertQuiet(trial, baseline, { ...QUIET, idleConnections: 40 });
  },
};

const comments: FaultCase = {
  id: 'R14b',
  title: 'D sends its head and then nothing but comments: that is no first token',
  runs: { scaled: 6, full: 60 },
  run: async (trial) => {
    const { instance, decodes, watched } = rig;
    const baseline = await baselineOf(watched);
    await Promise.all(decodes.map((decode) => decode.misbehave([{ kind: 'hang', at: 'token', afterTokens: 0 }])));
    await Promise.all(decodes.map((decode) => decode.forget()));
    const before = await snapshotOf(instance);
    const answers = await together(trial.runs, () => ask(instance.url, 'Ping'));
    for (const { status, code, ms } of answers) {
      trial.worst('after', ms, 'ms');
      if (code !== 'remote_timeout') trial.failed(`${status} ${String(code)}`);
      if (ms > 2 * IDLE_MS + SLACK_MS) trial.failed(`after ${Math.round(ms)} ms`);
    }
    // Not the time for the whole call, which ends it as well.
    demand(trial, movedSince(before, await snapshotOf(instance)), { 'stream_end timeout_first_token': trial.runs });
    const asked = (await Promise.all(decodes.map((decode) => recordsOf(decode)))).flat();
    trial.injected(asked.filter(({ tokens }) => tokens === 0).length);
    await Promise.all(decodes.map((decode) => decode.misbehave([])));
    await sleep(700);
    await ask(instance.url, 'Pong');
    await assertQuiet(trial, baseline, { ...QUIET, idleConnections: 40 });
  },
};

const trickle: FaultCase = {
  id: 'R14c',
  title: 'an answer that is not streamed comes byte by byte: it ends with the time for the whole call',
  runs: { scaled: 4, full: 20 },
  run: async (trial) => {
    const { instance, proxies, watched } = rig;
    const baseline = await baselineOf(watched);
    for (const proxy of proxies) {
      proxy.plan = { chop: [1, 1], rateBytesPerSecond: 100 };
      proxy.resetAll();
    }
    const before = proxies.reduce((sum, { counts }) => sum + counts.chops, 0);
    const answers = await Promise.all(
      Array.from({ length: trial.runs }, () => ask(instance.url, 'Drip', { stream: false })),
    );
    for (const { status, code, ms } of answers) {
      trial.worst('after', ms, 'ms');
      if (status !== 504 || code !== 'remote_timeout') trial.failed(`${status} ${String(code)}`);
      if (ms > TOTAL_MS + SLACK_MS) trial.failed(`after ${Math.round(ms)} ms`);
    }
    const chopped = proxies.reduce((sum, { counts }) => sum + counts.chops, 0) - before;
    trial.injected(chopped > trial.runs * 10 ? trial.runs : 0);
    for (const proxy of proxies) {
      proxy.plan = {};
      proxy.resetAll();
    }
    await assertQuiet(trial, baseline, { ...QUIET, idleConnections: 40 });
  },
};

const blackHole: FaultCase = {
  id: 'R15',
  title: 'one D answers no SYN: each attempt ends in time, others are used, and it is left alone after ten',
  runs: { scaled: 10, full: 10 },
  run: async (trial) => {
    const { instance, watched } = beforeHole;
    const baseline = await baselineOf(watched);
    const intoTheHole = (): Promise<number> => instance.metric('baton_decode_retries_total', { reason: 'connect' });
    // A third of them are sent into the hole.
    for (let round = 0; (await intoTheHole()) < trial.runs && round < 10; round += 1) {
      for (const { status, code, ms } of await together(12, () => ask(instance.url, 'Deep', { tokens: 1 }))) {
        trial.worst('with an attempt', ms, 'ms');
        if (status !== 200) trial.failed(`${status} ${String(code)}`);
        if (ms > CONNECT_MS + SLACK_MS) trial.failed(`after ${Math.round(ms)} ms`);
      }
    }
    const attempts = await intoTheHole();
    trial.injected(attempts);
    for (const { status, ms } of await together(30, () => ask(instance.url, 'Deep', { tokens: 1 }))) {
      trial.worst('left alone', ms, 'ms');
      if (status !== 200) trial.failed(`${status} after ${Math.round(ms)} ms`);
    }
    const more = (await intoTheHole()) - attempts;
    trial.worst('attempts while left alone', more, '');
    // A trial, when its time has come meanwhile.
    if (more > 1) trial.failed(`${more} of 30 were sent into the hole, which was known by then`);
    await assertQuiet(trial, baseline, { ...QUIET, idleConnections: 80 });
  },
};

faultCases('upstream timeouts', [stopped, comments, trickle, blackHole]);
