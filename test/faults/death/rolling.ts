import { setTimeout as sleep } from 'node:timers/promises';
import type { InstanceProcess } from '../../support/instance-process.js';
import { startPool, type Pool } from '../content/pool.js';
import { ask, type Judged } from '../content/verdict.js';
import type { Trial } from '../support/fault-case.js';
import { ofRole, POOL_FLAGS, startBeside, startCoordinatorOf, story } from './rig.js';

/** Of all requests. */
const MOST_FAILED = 0.001;
/** In full, restarts are spread over two minutes. */
const FULL_MS = 120_000;
const EVERY_MS = { full: 25, scaled: 50 };
/** How often a balancer asks who is ready. */
const LOOK_EVERY_MS = 50;
/** What a load balancer may send to another server: it was not begun. */
const NOT_BEGUN = /^no answer: connect|ECONNREFUSED|^503 shutting_down/;
/** Balancers look at the readiness before the drain refuses anything. */
const DRAIN = { BATON_SERVER_DRAIN_DELAY_MS: '300' };

/** A process that is replaced by another one on its port. */
interface Place {
  readonly name: string;
  readonly start: (port: string) => Promise<InstanceProcess>;
  process: InstanceProcess;
}

/**
 * A third of what engines have. D reads whatever blocks it was told of: within a lease that ends while a busy machine starts
 * a process, it reads another request's, and nobody can tell.
 */
const LEASE_MS = 10_000;

/** Restarts two coordinators and the two decode instances behind them by SIGTERM, in turn, while clients ask. */
export async function rollingRestart(trial: Trial): Promise<void> {
  const flags = { ...POOL_FLAGS, prefill: { ...POOL_FLAGS.prefill, 'kv-lease-ms': LEASE_MS } };
  const pool = await startPool({ connector: 'nixl', flags });
  try {
    await restartAll(trial, pool);
  } finally {
    await pool.stop();
  }
}

async function restartAll(trial: Trial, pool: Pool): Promise<void> {
  const start = async (name: string, starting: (port: string) => Promise<InstanceProcess>): Promise<Place> => ({
    ...{ name, start: starting, process: await starting('0') },
  });
  const at = (port: string): Record<string, string> => ({ ...DRAIN, BATON_SERVER_PORT: port });
  const decodes = await Promise.all(
    ofRole(pool, 'decode').map((member, index) => start(`B${index}`, (port) => startBeside(member, at(port)))),
  );
  const routes = {
    // Else it takes the 30 s that engines have, and sends D what P has let go.
    BATON_COORDINATION_LEASE_MS: String(LEASE_MS),
    BATON_COORDINATION_DECODE_DIALECT: 'openai',
    BATON_COORDINATION_DECODE_ENDPOINTS: decodes.map(({ process }) => process.url).join(','),
  };
  const coordinators = await Promise.all(
    [0, 1].map((index) => start(`A${index}`, (port) => startCoordinatorOf(pool, { ...routes, ...at(port) }))),
  );
  const places = [coordinators[0]!, decodes[0]!, coordinators[1]!, decodes[1]!];
  const load = new Load(coordinators, trial.isFull ? EVERY_MS.full : EVERY_MS.scaled);
  let retries = 0;
  const countRetries = async ({ process }: Place): Promise<void> => {
    retries += await process.metric('baton_decode_retries_total');
  };
  try {
    load.begin();
    await sleep(300);
    for (let done = 0; done < trial.runs; done += 1) {
      const begun = performance.now();
      const place = places[done % places.length]!;
      const { port } = place.process;
      if (coordinators.includes(place)) await countRetries(place);
      const code = await place.process.stop('SIGTERM');
      if (code === 0) trial.injected();
      else trial.failed(`${place.name} ended with ${code} at SIGTERM`);
      trial.worst('drained after', performance.now() - begun, 'ms');
      place.process = await place.start(String(port));
      if (trial.isFull) await sleep(Math.max(300, FULL_MS / trial.runs - (performance.now() - begun)));
    }
    await sleep(300);
  } finally {
    await load.end();
    await Promise.all(coordinators.map(countRetries));
    await Promise.all(places.map(({ process }) => process.stop()));
  }
  const failed = load.failures.length;
  trial.worst('requests', load.sent, '');
  trial.worst('sent again', load.sentAgain, '');
  trial.worst('failed', failed, '');
  trial.worst('legs sent to another D', retries, '');
  for (const { verdict, why } of load.failures) if (verdict !== 'error') trial.failed(`${verdict}: ${why}`);
  // Of a few hundred requests, one that met a closing connection is more than the share says.
  if (failed > Math.max(1, load.sent * MOST_FAILED))
    trial.failed(`${failed} of ${load.sent} failed: ${load.failures[0]!.why}`);
}

/** Clients behind a load balancer that knows two coordinators, and asks those that say they are ready. */
class Load {
  readonly failures: Judged[] = [];
  sent = 0;
  sentAgain = 0;
  readonly #open = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  #ready: readonly Place[];

  constructor(
    private readonly places: readonly Place[],
    private readonly everyMs: number,
  ) {
    this.#ready = places;
  }

  begin(): void {
    this.#looking = setInterval(() => void this.#look(), LOOK_EVERY_MS);
    this.#timer = setInterval(() => {
      const asking = this.#ask(this.sent++).finally(() => this.#open.delete(asking));
      this.#open.add(asking);
    }, this.everyMs);
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    clearInterval(this.#looking);
    await Promise.all(this.#open);
  }

  async #ask(index: number): Promise<void> {
    const question = story(1 + (index % 8));
    let judged = await this.#askAt(index, question);
    if (NOT_BEGUN.test(judged.why)) {
      this.sentAgain += 1;
      judged = await this.#askAt(index + 1, question);
    }
    if (judged.verdict !== 'right') this.failures.push(judged);
  }

  #askAt(index: number, question: ReturnType<typeof story>): Promise<Judged> {
    return ask(this.#ready[index % this.#ready.length]!.process.url, question);
  }

  async #look(): Promise<void> {
    const isReady = (url: string): Promise<boolean> =>
      fetch(`${url}/health/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    const ready = await Promise.all(
      this.places.map(async (place) => ((await isReady(place.process.url)) ? [place] : [])),
    );
    if (ready.flat().length > 0) this.#ready = ready.flat();
  }
}
