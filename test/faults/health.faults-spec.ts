import { afterAll, beforeAll } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { RawPost } from '../support/raw-client.js';
import { inParallel } from './leaving/visit.js';
import { percentile, seriesOf, timed } from './server/figures.js';
import { RandomRequests } from './server/random-requests.js';
import { faultCases, type FaultCase } from './support/fault-case.js';
import type { FaultPlan } from './support/fault-plan.js';
import { assertQuiet, baselineOf } from './support/quiet.js';
import { Client, completion } from './transport/client.js';
import { startRig, type Rig } from './transport/rig.js';

/** What P has left when its answer is lost ends with its lease. */
const LEASE_MS = 2_000;
const FLAGS = { 'prefill-us-per-token': 100, 'decode-us-per-token': 2_000, 'kv-lease-ms': LEASE_MS };
const MAX_SERIES = 1_000;
const MAX_BYTES = 1024 * 1024;
const MAX_SCRAPE_MS = 100;
/** How long failures are remembered. */
const WINDOW_MS = 60_000;

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    flags: FLAGS,
    settings: {
      BATON_SERVER_MAX_IN_FLIGHT: '6',
      BATON_SERVER_MAX_WAITING: '4',
      BATON_SERVER_ADMISSION_TIMEOUT_MS: '50',
    },
  });
});
afterAll(() => rig.stop());

const cardinality: FaultCase = {
  id: 'X11',
  title: 'random models, ids, paths, hosts, methods and headers make no series',
  runs: { scaled: 2_000, full: 100_000 },
  run: async (trial) => {
    const { instance } = rig;
    const requests = new RandomRequests(instance.port, trial.random);
    await inParallel(trial.runs, 32, async () => {
      const status = await requests.send();
      if (status >= 400 && status < 500) trial.injected();
      else trial.failed(`a random request got ${status}`);
    });
    requests.close();
    const scrape = async (): Promise<string> => (await fetch(`${instance.url}/metrics`)).text();
    const text = await scrape();
    for (const [name, series] of seriesOf(text)) {
      trial.worst('series of one metric', series, '');
      if (series > MAX_SERIES) trial.failed(`${name} has ${series} series`);
    }
    const times: number[] = [];
    for (let i = 0; i < 20; i += 1) times.push(await timed(scrape));
    trial.worst('scrape', percentile(times, 50), 'ms');
    trial.worst('size', Buffer.byteLength(text) / 1_024, 'KiB');
    if (percentile(times, 50) > MAX_SCRAPE_MS) trial.failed(`a scrape takes ${percentile(times, 50)} ms`);
    if (Buffer.byteLength(text) > MAX_BYTES) trial.failed(`a scrape has ${Buffer.byteLength(text)} bytes`);
  },
};

const PLANS: readonly FaultPlan[] = [
  ...[{}, {}, {}, { delayMs: 20 }, { chop: [1, 7] as const }],
  ...[{ resetAfterDownBytes: 100 }, { resetAfterDownBytes: 600 }, { resetAfterUpBytes: 50 }, { refuse: true }],
];

const invariant: FaultCase = {
  id: 'M1',
  title: 'started is ended and in flight at every scrape, whatever befalls requests meanwhile',
  runs: { scaled: 100, full: 1_000 },
  run: async (trial) => {
    const { random, runs } = trial;
    const { instance, toPrefill, toDecode, watched } = rig;
    const baseline = await baselineOf(watched);
    for (const proxy of [toPrefill, toDecode]) proxy.plan = () => random.pick(PLANS);
    let isOver = false;
    const visitor = async (): Promise<void> => {
      while (!isOver) {
        const body = completion('A story of a fox', random.pick([1, 5, 40]), random.below(2) === 0);
        const headers = random.below(5) === 0 ? { 'x-request-timeout-ms': String(1 + random.below(60)) } : undefined;
        const post = await RawPost.send(instance.url, '/v1/completions', body, { connection: 'close', ...headers });
        if (random.below(3) > 0) await Promise.race([post.closed(), sleep(2_000)]);
        else await sleep(random.between(0, 60));
        post.leave(random.pick(['RST', 'FIN']));
      }
    };
    const visitors = Array.from({ length: 16 }, visitor);
    const resets = (): number =>
      toPrefill.counts.resets + toPrefill.counts.refused + toDecode.counts.resets + toDecode.counts.refused;
    let gone = 0;
    // Every scrape is made under faults, until there were many of each kind.
    const isEnough = (): boolean => resets() >= runs / 10 && gone >= runs / 10;
    for (let run = 0; run < runs || (run < MOST_SCRAPES * runs && !isEnough()); run += 1) {
      const metric = await instance.metrics();
      gone = metric('baton_stream_end_total', { reason: 'client_gone' });
      const started = metric('baton_requests_started_total');
      const [ended, open] = [metric('baton_stream_end_total'), metric('baton_inflight_requests')];
      if (started !== ended + open) trial.failed(`${started} started, ${ended} ended, ${open} in flight`);
      const admitted = metric('baton_admitted_requests', { of: 'clients' });
      const waiting = metric('baton_admission_waiting_requests', { of: 'clients' });
      if (admitted > 6 || waiting > 4) trial.failed(`${admitted} were admitted and ${waiting} waited`);
      trial.worst('in flight', open, '');
    }
    isOver = true;
    await Promise.all(visitors);
    for (const proxy of [toPrefill, toDecode]) proxy.plan = {};
    const metric = await instance.metrics();
    const ends = ['client_gone', 'upstream_error', 'rejected', 'deadline', 'complete'];
    for (const reason of ends) trial.worst(reason, metric('baton_stream_end_total', { reason }), '');
    if (isEnough()) trial.injected(runs);
    await assertQuiet(trial, baseline, { withinMs: 2 * LEASE_MS, idleConnections: 40 });
    const left = (await instance.metrics())('baton_admitted_requests');
    if (left !== 0) trial.failed(`${left} permits were not given back`);
  },
};

/** A machine that is fast scrapes often before much has happened. */
const MOST_SCRAPES = 10;

const FAILURES = 10;

/** The first of the file: what has succeeded would have to be forgotten. */
const honest: FaultCase = {
  id: 'M2',
  title: 'when engines say that they are well and fail all, it is not ready until one succeeds, or a minute is over',
  runs: { scaled: FAILURES, full: 2 * FAILURES },
  run: async (trial) => {
    const { instance, decode, watched } = rig;
    const readiness = (): Promise<Response> => fetch(`${instance.url}/health/ready`);
    const client = new Client(instance.url);
    const baseline = await baselineOf(watched);
    for (let run = 0; run < trial.runs; run += FAILURES) {
      if (run > 0) await sleep(WINDOW_MS + 1_000);
      if ((await readiness()).status !== 200) trial.failed('it was not ready before');
      await decode.misbehave([{ kind: 'http_status', status: 500, where: 'decode' }]);
      for (let i = 0; i < FAILURES; i += 1) {
        if ((await client.complete('Not well')).status >= 500) trial.injected();
      }
      const told = await readiness();
      if (told.status !== 503) trial.failed(`it said ${told.status}`);
      if (!(await told.text()).includes('failed 10 requests')) trial.failed('it gave another reason');
      await decode.misbehave([]);
      if (run === 0 && (await client.complete('Well again')).status !== 200) trial.failed('it did not answer');
      const isReady = async (): Promise<boolean> => (await readiness()).status === 200;
      const readyMs = await eventually('it is ready', isReady, run === 0 ? 1_000 : WINDOW_MS + 5_000);
      trial.worst(run === 0 ? 'ready after a success' : 'ready after', readyMs, 'ms');
    }
    await client.close();
    await assertQuiet(trial, baseline, { withinMs: 2 * LEASE_MS, idleConnections: 20 });
  },
};

faultCases('Health and metrics', [honest, cardinality, invariant]);
