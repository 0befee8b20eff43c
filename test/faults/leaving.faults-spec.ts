import { afterAll } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { faultCases, type FaultCase, type Trial } from './support/fault-case.js';
import { startPool } from './content/pool.js';
import { bookGap } from './leaving/gap-book.js';
import { aftermathOf, legsByTrace, PHASES, type Aftermath } from './leaving/phases.js';
import { EmbeddedRig } from './leaving/embedded-rig.js';
import { boundMs, RELEASE_TIMEOUT_MS, type LeavingConnector } from './leaving/plan.js';
import { quiet, startSimulatedRig, widen, type SimulatedDeployment } from './leaving/rig.js';
import { anyAsking, freshTrace, inParallel, lifeMs, visit, type Visit } from './leaving/visit.js';

const AT_ONCE = 8;
const BOUND_MS = { scaled: 60_000, full: 600_000 };
/** What the engines remember is read after so many. */
const BATCH = 250;

type Simulated = Exclude<LeavingConnector, 'embedded'>;

const rigs = new Map<Simulated, Promise<SimulatedDeployment>>();
const rigOf = (connector: Simulated): Promise<SimulatedDeployment> => {
  const rig = rigs.get(connector) ?? startSimulatedRig(connector);
  rigs.set(connector, rig);
  return rig;
};
const stopRig = async (connector: Simulated): Promise<void> => {
  const rig = rigs.get(connector);
  rigs.delete(connector);
  await (await rig)?.stop();
};
afterAll(() => Promise.all([...rigs.keys()].map(stopRig)));

/** What was seen of a client that left. */
interface Seen {
  readonly visit: Visit;
  readonly aftermath: Aftermath;
}

/** Lets clients come and go, `AT_ONCE` at once, and looks what became of each. */
async function comeAndGo(
  trial: Trial,
  rig: Pick<SimulatedDeployment, 'instance' | 'prefill' | 'decode'>,
  runs: number,
  one: () => Promise<Visit>,
): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (let done = 0; done < runs; done += BATCH) {
    await Promise.all([rig.prefill.forget(), rig.decode.forget()]);
    const visits: Visit[] = [];
    await inParallel(Math.min(BATCH, runs - done), AT_ONCE, async () => void visits.push(await one()));
    // Longer than any bound of the plans, and shorter than any lease: what is still held then has leaked.
    await quiet(rig, 20_000).catch((error: unknown) => trial.failed(String(error)));
    const legs = await legsByTrace(rig.prefill, rig.decode);
    for (const visited of visits) {
      const own = legs.get(visited.trace) ?? { prefill: [], decode: [], lives: [] };
      seen.push({ visit: visited, aftermath: aftermathOf(own, visited.leftAtMs) });
      if (visited.hasLeft) trial.injected();
    }
  }
  return seen;
}

/** Every cache is freed within the bound of the plan. */
function checkBounds(trial: Trial, connector: LeavingConnector, life: number, seen: readonly Seen[]): void {
  for (const {
    visit: { flow, stream },
    aftermath,
  } of seen) {
    const bound = boundMs(connector, aftermath.phase, life);
    if (aftermath.strandedMs <= bound) continue;
    const how = `${flow.api}, ${stream ? 'streamed' : 'whole'}, left in ${aftermath.phase}`;
    trial.failed(`${how}: KV held for ${aftermath.strandedMs} ms, bound ${bound} ms (${aftermath.freedBy})`);
  }
}

function report(trial: Trial, connector: LeavingConnector, seen: readonly Seen[]): void {
  const aborts: number[] = [];
  for (const {
    visit: { stream, events },
    aftermath,
  } of seen) {
    trial.worst('stranded KV', aftermath.strandedMs, 'ms');
    if (stream && events > 0 && aftermath.abortMs !== undefined) aborts.push(aftermath.abortMs);
  }
  const sorted = aborts.sort((a, b) => a - b);
  if (sorted.length > 0) trial.worst('abort p99', sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0, 'ms');
  for (const phase of PHASES) {
    const own = seen.filter(({ aftermath }) => aftermath.phase === phase);
    trial.worst(phase, own.length, 'left');
    bookGap(
      connector,
      phase,
      own.map(({ aftermath }) => aftermath),
    );
  }
}

/** How long a request lives when nobody leaves, on a machine that is warm. */
async function warmLifeMs(trial: Trial, url: string): Promise<number> {
  const askings = [true, false].map((stream) => ({ ...anyAsking(trial.random), stream }));
  const once = (): Promise<number> =>
    lifeMs(
      url,
      askings,
      askings.map(() => freshTrace(trial.random)),
    );
  await once();
  const life = await once();
  trial.worst('life', life, 'ms');
  return life;
}

const randomLeaving = (connector: Simulated): FaultCase => ({
  id: `R1 ${connector}`,
  title: 'clients that leave at any time strand no KV beyond the bound of the plan',
  runs: { scaled: 40, full: 2_000 },
  boundMs: BOUND_MS,
  run: async (trial) => {
    const { random, runs } = trial;
    const rig = await rigOf(connector);
    const { url } = rig.instance;
    const life = await warmLifeMs(trial, url);
    const seen = await comeAndGo(trial, rig, runs, () =>
      visit(url, anyAsking(random), freshTrace(random), () => sleep(random.between(0, life * 1.05))),
    );
    checkBounds(trial, connector, life, seen);
    report(trial, connector, seen);
    if (connector !== 'nixl') await stopRig(connector);
  },
});

const ALONE = { scaled: 10, full: 500 };

const embeddedLeaving: FaultCase = {
  id: 'R1 embedded',
  title: 'clients that leave at any time strand no KV beyond the bound of the plan',
  runs: { scaled: 30, full: 2_000 },
  boundMs: BOUND_MS,
  run: async (trial) => {
    const { random, runs, isFull } = trial;
    const rig = await EmbeddedRig.start();
    try {
      const { url } = rig.prefill;
      const life = await warmLifeMs(trial, url);
      const leave = async (): Promise<Visit> => {
        const until = random.between(0, life * 1.05);
        const visited = await visit(url, anyAsking(random), freshTrace(random), () => sleep(until));
        if (visited.hasLeft) trial.injected();
        return visited;
      };
      await rig.quiet(5_000);
      // Some come alone: of these it is known whose KV is whose.
      const seen: Seen[] = [];
      const alone = isFull ? ALONE.full : ALONE.scaled;
      for (let index = 0; index < alone; index += 1) {
        rig.files.forget();
        const visited = await leave();
        await rig.quiet(5_000).catch((error: unknown) => trial.failed(String(error)));
        seen.push({ visit: visited, aftermath: rig.aftermathOf(visited) });
      }
      checkBounds(trial, 'embedded', life, seen);
      report(trial, 'embedded', seen);
      rig.files.forget();
      await inParallel(runs - alone, AT_ONCE, async () => void (await leave()));
      await rig.quiet(5_000).catch((error: unknown) => trial.failed(String(error)));
      // Nobody's KV was there for longer than a request lives when eight share the machine, and its release.
      const bound = AT_ONCE * life + RELEASE_TIMEOUT_MS;
      for (const { madeAtMs, removedAtMs = Infinity } of rig.files.all) {
        trial.worst('life of KV', removedAtMs - madeAtMs, 'ms');
        if (removedAtMs - madeAtMs > bound)
          trial.failed(`KV was kept for ${removedAtMs - madeAtMs} ms, bound ${bound}`);
      }
    } finally {
      await rig.stop();
    }
  },
};

const duringPrefill: FaultCase = {
  id: 'R2',
  title: 'a client that leaves during prefill is counted once, and no decode works for it',
  runs: { scaled: 20, full: 1_000 },
  run: async (trial) => {
    const { random, runs } = trial;
    const rig = await rigOf('nixl');
    const { url } = rig.instance;
    const life = await warmLifeMs(trial, url);
    const before = await rig.instance.metrics();
    // P begins after 10 ms of 170 and computes for 40.
    const seen = await comeAndGo(trial, rig, runs, () =>
      visit(url, anyAsking(random), freshTrace(random), () => sleep(life * random.between(0.08, 0.27))),
    );
    const after = await rig.instance.metrics();
    const moved = (name: string, labels = {}): number => after(name, labels) - before(name, labels);
    const gone = moved('baton_stream_end_total', { reason: 'client_gone' });
    if (gone !== runs) trial.failed(`${runs} clients left, ${gone} were counted`);
    if (moved('baton_requests_started_total') !== moved('baton_stream_end_total')) trial.failed('started is not ended');
    checkBounds(trial, 'nixl', life, seen);
    for (const {
      aftermath: { phase, strandedMs, decodedTokens },
    } of seen) {
      trial.worst('stranded KV', strandedMs, 'ms');
      trial.worst('tokens that D made for nobody', decodedTokens, '');
      const isEarly = phase === 'prefilling' || phase === 'before_prefill';
      // A D that is sent only to take the KV makes one token.
      if (isEarly && decodedTokens > 1) trial.failed(`left in ${phase}, and D made ${decodedTokens} tokens`);
    }
    const early = seen.filter(({ aftermath }) => aftermath.phase === 'prefilling');
    trial.worst('left while P computed', early.length, '');
  },
};

/** Scaled, others use the machine at the same time. */
const GAP_BOUND_MS = { scaled: 3_000, full: 500 };

const inTheGap: FaultCase = {
  id: 'R3',
  title: 'KV of a client that leaves in the gap is free within half a second',
  runs: { scaled: 20, full: 1_000 },
  run: async (trial) => {
    const { random, runs } = trial;
    const flags = { 'prefill-us-per-token': 500, 'decode-us-per-token': 2_000 };
    const pool = await startPool({ connector: 'nixl', each: 1, flags: { prefill: flags, decode: flags } });
    const [prefill, decode] = pool.members;
    if (prefill === undefined || decode === undefined) throw new Error('There is no pair.');
    const rig = { ...pool, prefill: prefill.simulator, decode: decode.simulator };
    try {
      // D hears of its request 50 ms after it was sent.
      decode.proxy.plan = { delayMs: 50 };
      const life = await warmLifeMs(trial, pool.instance.url);
      const bound = trial.isFull ? GAP_BOUND_MS.full : GAP_BOUND_MS.scaled;
      let left = 0;
      const leaks: string[] = [];
      const failed = (why: string): void => {
        leaks.push(why);
        trial.failed(why);
      };
      for (let rounds = 0; left < runs && rounds < 8 && leaks.length === 0; rounds += 1) {
        const seen = await comeAndGo({ ...trial, failed, injected: () => undefined }, rig, runs, () =>
          visit(pool.instance.url, anyAsking(random), freshTrace(random), () =>
            sleep(life * random.between(0.15, 0.5)),
          ),
        );
        for (const { aftermath } of seen) {
          if (aftermath.phase !== 'gap') continue;
          left += 1;
          trial.injected();
          trial.worst('stranded KV', aftermath.strandedMs, 'ms');
          if (aftermath.strandedMs > bound) trial.failed(`KV was held for ${aftermath.strandedMs} ms`);
        }
      }
      trial.worst('left in the gap', left, '');
    } finally {
      await pool.stop();
    }
  },
};

const MOST_WASTED = 5;

const midDecode: FaultCase = {
  id: 'R4',
  title: 'a client that leaves in the middle of its answer ends the decode',
  runs: { scaled: 16, full: 500 },
  run: async (trial) => {
    const { random, runs } = trial;
    const rig = await rigOf('nixl');
    // Fifty tokens a second.
    await rig.decode.misbehave([{ kind: 'slow', at: 'token', ms: 20 }]);
    const seen = await comeAndGo(trial, rig, runs, () =>
      visit(rig.instance.url, { ...anyAsking(random, 100), stream: true }, freshTrace(random), (post) =>
        post.eventsReach(2 + random.below(12)),
      ),
    );
    await widen(rig);
    for (const { visit: visited, aftermath } of seen) {
      const wasted = aftermath.decodedTokens - visited.events;
      trial.worst('tokens after the client had left', wasted, '');
      trial.worst('abort', aftermath.abortMs ?? Infinity, 'ms');
      if (wasted > MOST_WASTED) trial.failed(`D made ${wasted} tokens more than the client had seen`);
    }
  },
};

faultCases('Clients that leave', [
  ...(['sglang', 'mooncake', 'trtllm', 'nixl'] as const).map(randomLeaving),
  embeddedLeaving,
  ...[duringPrefill, inTheGap, midDecode],
]);
