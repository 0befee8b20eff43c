import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPair, type Pair } from '../support/pair.js';
import { behave, settled, startPool, type Pool } from './content/pool.js';
import { misbehave, troubleSeen, wirePlan } from './content/trouble.js';
import { illBehaved, satisfied, wellBehaved } from './soak/clients.js';
import { load, Tally, type Stream } from './soak/load.js';
import { COLLECTING, SLOPES, Watch, WATCHED, type Sample } from './soak/watch.js';
import { faultCases, type Trial } from './support/fault-case.js';

/** `npm run test:soak` sets these. Without them it is a look whether all comes to rest. */
const MINUTES = Number(process.env['SOAK_MINUTES'] ?? 0);
const RATE = Number(process.env['SOAK_RATE'] ?? 40);
const FAULTS = Number(process.env['SOAK_FAULTS'] ?? 0.3);

const MINUTE_MS = 60_000;
const LOOK_EVERY_MS = 10_000;
const TELL_EVERY = 6;
/** The embedded engine computes. */
const EMBEDDED_SHARE = 0.1;
/** Idle connections are kept for some seconds, what nobody took for a lease of 30 s. */
const REST_MS = MINUTES > 0 ? 45_000 : 10_000;
const FDS_MORE = 5;
const TIMERS_MORE = 3;
const IS_LONG = MINUTES > 0;
const SHORT_MS = 3_000;
/** Slopes of a short time are noise. */
const SLOPES_FROM_MINUTES = 10;

async function soak(trial: Trial): Promise<void> {
  const { random } = trial;
  const settings = { ...COLLECTING, BATON_KV_HANDOFF_TTL_MS: '5000' };
  const flags = { 'kv-lease-ms': 5_000 };
  const pool = await startPool({ connector: 'nixl', settings: COLLECTING, flags: { prefill: flags, decode: flags } });
  const pair = IS_LONG ? await startPair({ prefill: settings, decode: settings }) : undefined;
  try {
    const watches = [
      new Watch('coordinator', pool.instance, false),
      ...(pair === undefined ? [] : [new Watch('P', pair.prefill, true), new Watch('D', pair.decode, true)]),
    ];
    // Every part has been used once before anything is counted.
    const tally = new Tally();
    await load(streamsOf(pool, pair), random, performance.now() + (IS_LONG ? 10_000 : 500), tally);
    const before = await Promise.all(watches.map((watch) => watch.look(0)));
    await makeTrouble(trial, pool);
    await run(streamsOf(pool, pair), watches, trial, tally);
    const faults = await troubleSeen(pool);
    await behave(pool);
    await settled(pool, 10_000).catch((error: unknown) => trial.failed(String(error)));
    await atRest(trial, watches, before);
    tellOf(trial, watches, tally, faults);
    trial.injected(faults + misbehaved(tally));
  } finally {
    await Promise.all([pool.stop(), pair?.stop()]);
  }
}

async function makeTrouble(trial: Trial, pool: Pool): Promise<void> {
  for (const member of pool.members) {
    // There are some twenty misbehaviours, and two legs: together they are half of the faults.
    await misbehave(member, trial.random, FAULTS / 75);
    member.proxy.plan = () => wirePlan(trial.random);
  }
}

const OF_CLIENTS = ['left', 'stalled and left', 'read slowly', 'refused'];

/** How many clients did not behave well. */
const misbehaved = ({ counts }: Tally): number =>
  OF_CLIENTS.reduce((sum, outcome) => sum + (counts.get(outcome) ?? 0), 0);

function streamsOf(pool: Pool, pair: Pair | undefined): Stream[] {
  const onPool: Stream = {
    perSecond: RATE * (pair === undefined ? 1 : 1 - EMBEDDED_SHARE),
    visit: (random) => (random.next() < FAULTS / 2 ? illBehaved : wellBehaved)(pool.instance.url, random),
  };
  if (pair === undefined) return [onPool];
  const onPair: Stream = {
    perSecond: RATE * EMBEDDED_SHARE,
    visit: (random) => (random.next() < FAULTS ? illBehaved : satisfied)(pair.prefill.url, random),
  };
  return [onPool, onPair];
}

/** Drives until the time is over, and looks at the instances meanwhile. */
async function run(streams: readonly Stream[], watches: readonly Watch[], trial: Trial, tally: Tally): Promise<void> {
  // Clients that hang are of no account while this process, or the whole machine, stood still.
  const stalls = monitorEventLoopDelay({ resolution: 100 });
  stalls.enable();
  const start = performance.now();
  const until = start + (IS_LONG ? MINUTES * MINUTE_MS : SHORT_MS);
  const driven = load(streams, trial.random, until, tally);
  for (let looks = 1; start + looks * LOOK_EVERY_MS < until; looks += 1) {
    await sleep(start + looks * LOOK_EVERY_MS - performance.now());
    const minute = (performance.now() - start) / MINUTE_MS;
    const samples = await Promise.all(watches.map((watch) => watch.look(minute)));
    if (looks % TELL_EVERY !== 0) continue;
    const told = samples.map((sample, index) => `${watches[index]?.name}: ${textOf(sample)}`);
    process.stdout.write(`${minute.toFixed(1)} min, ${tally.visits} visits; ${told.join('; ')}\n`);
  }
  await driven;
  stalls.disable();
  trial.worst('longest stall of the clients', stalls.max / 1e6, 'ms');
}

const textOf = (sample: Sample): string =>
  WATCHED.map((what) => `${what} ${Math.round(sample[what] * 10) / 10}`).join(', ');

/** Waits until every instance has what it had before, or says what it has. */
async function atRest(trial: Trial, watches: readonly Watch[], before: readonly Sample[]): Promise<void> {
  const start = performance.now();
  for (const [index, watch] of watches.entries()) {
    const first = before[index];
    let found = 'not looked at';
    while (found !== '' && performance.now() - start < REST_MS) {
      // Looked at apart from the samples: they are of the load.
      const now = await new Watch(watch.name, watch.instance, watch.hasEngine).look(0);
      const held = (['in flight', 'handoffs', 'waiting', 'temp files'] as const).filter((what) => now[what] !== 0);
      const isMore = now.fds > (first?.fds ?? 0) + FDS_MORE || now.timers > (first?.timers ?? 0) + TIMERS_MORE;
      found = held.length === 0 && !isMore ? '' : `${textOf(now)}; before: ${first && textOf(first)}`;
      if (found !== '') await sleep(500);
    }
    if (found !== '') trial.failed(`${watch.name} is not at rest: ${found}`);
  }
  trial.worst('at rest after', performance.now() - start, 'ms');
}

function tellOf(trial: Trial, watches: readonly Watch[], tally: Tally, faults: number): void {
  for (const complaint of tally.complaints) trial.failed(complaint);
  trial.worst('visits', tally.visits, '');
  trial.worst('faults of engines and wires', faults, '');
  trial.worst('faults, of all visits', Math.round((100 * (faults + misbehaved(tally))) / tally.visits), '%');
  for (const [outcome, count] of tally.counts) trial.worst(outcome, count, 'visits');
  if (!IS_LONG) return;
  for (const watch of watches) {
    for (const { what, unit, most, noise } of SLOPES) {
      const [slope, growth] = [watch.slope(what), watch.growth(what)];
      trial.worst(`${watch.name}: slope of ${what}`, Math.round(slope * 1_000) / 1_000, `${unit}/min`);
      trial.worst(`${watch.name}: more ${what} in the last quarter than in the second`, growth, unit);
      if (MINUTES >= SLOPES_FROM_MINUTES && slope > most && growth > noise) {
        trial.failed(`${watch.name}: ${what} grows by ${slope.toFixed(3)} ${unit}/min`);
      }
    }
    const last = watch.samples.at(-1);
    if (last !== undefined) trial.worst(`${watch.name}: last rss`, last.rss, 'MB');
  }
}

faultCases('Soak', [
  {
    id: 'S1',
    title: 'under load and faults nothing grows, and then all comes to rest',
    runs: { scaled: 5, full: IS_LONG ? 100 : 5 },
    boundMs: { scaled: 60_000, full: (MINUTES + 4) * MINUTE_MS },
    run: soak,
  },
]);
