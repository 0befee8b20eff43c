import { eventually } from '../../support/eventually.js';
import { InstanceProcess } from '../../support/instance-process.js';
import { resources } from '../../support/quiescence.js';
import type { SimulatorProcess } from '../../support/simulator-process.js';
import type { Trial } from './fault-case.js';

/** What a case may have left something in. */
export type Watched = InstanceProcess | SimulatorProcess;

/** What processes had open before a case. */
export type Baseline = readonly Before[];

interface Before {
  readonly process: Watched;
  readonly fds: number;
  readonly sockets: number;
  readonly timers: number;
  /** How much it had written. */
  readonly lines: number;
}

/** How quiet it has to be. */
export interface QuietBounds {
  /** For what is held for requests. Default 2,000 ms. */
  readonly withinMs?: number;
  /**
   * How many idle connections the case may leave for a while. In full it is waited until these have gone as well; the
   * scaled run does not. Default 0.
   */
  readonly idleConnections?: number;
}

/** Connections of scrapes, of health checks, and to other processes may come and go. */
const FDS_MORE = 5;
const SOCKETS_MORE = 5;
const TIMERS_MORE = 3;
/** Idle connections to other processes are kept for 4 s. */
const IDLE_CONNECTIONS_MS = 7_000;
/** What is held for requests; those of an engine are there when it has some. */
const HELD = ['baton_inflight_requests', 'baton_handoffs_open'];
/** Permits, of either kind of caller. */
const HELD_OF = ['baton_admitted_requests', 'baton_admission_waiting_requests'];
const CALLERS = ['clients', 'legs'];
const HELD_BY_ENGINE = ['baton_engine_waiting_requests', 'baton_engine_temp_files'];
const COMPLAINTS = /unhandled ?rejection|uncaught ?exception|MaxListenersExceededWarning/i;

/** What `processes` have open now: to be taken when they are warm, and before the case. */
export function baselineOf(processes: readonly Watched[]): Promise<Baseline> {
  return Promise.all(
    processes.map(async (process) => {
      if (!(process instanceof InstanceProcess)) return { process, fds: 0, sockets: 0, timers: 0, lines: 0 };
      return { process, ...(await resources(process)), lines: process.output.length };
    }),
  );
}

/**
 * Fails the trial unless all processes come back to what they were: nothing in flight, owed, waiting, or in temporary
 * files; the ledgers of simulators empty; file descriptors and timers as before; nothing complained.
 */
export async function assertQuiet(trial: Trial, baseline: Baseline, bounds: QuietBounds = {}): Promise<void> {
  const { withinMs = 2_000, idleConnections = 0 } = bounds;
  const start = performance.now();
  await Promise.all(
    baseline.map(async (before) => {
      const complain = (what: string): void => trial.failed(`${nameOf(before.process)} is not quiet: ${what}`);
      await settles(() => heldBy(before.process), withinMs, complain);
      trial.worst('quiet after', performance.now() - start, 'ms');
      if (!(before.process instanceof InstanceProcess)) return;
      const idle = trial.isFull ? 0 : idleConnections;
      await settles(() => openBeyond(before, idle), idleConnections > 0 ? IDLE_CONNECTIONS_MS : withinMs, complain);
      for (const line of before.process.output.slice(before.lines)) if (COMPLAINTS.test(line)) complain(line);
    }),
  );
}

/** What a process holds for requests, as a text; empty when it holds nothing. */
export async function heldBy(process: Watched): Promise<string> {
  if (!(process instanceof InstanceProcess)) return heldBySimulator(process);
  if (process.child.exitCode !== null || process.child.signalCode !== null) return 'it has ended';
  const metric = await process.metrics();
  const ofEngine = (name: string, labels?: Readonly<Record<string, string>>): number => {
    try {
      return metric(name, labels);
    } catch {
      return 0;
    }
  };
  const held = nonZero({
    ...Object.fromEntries(HELD.map((name) => [name, metric(name)])),
    ...Object.fromEntries(
      HELD_OF.flatMap((name) => CALLERS.map((of) => [`${name}{of="${of}"}`, metric(name, { of })])),
    ),
    ...Object.fromEntries(HELD_BY_ENGINE.map((name) => [name, ofEngine(name)])),
    baton_engine_sequences: ofEngine('baton_engine_sequences', { state: 'busy' }),
  });
  const open = metric('baton_inflight_requests');
  const [started, ended] = [metric('baton_requests_started_total'), metric('baton_stream_end_total')];
  return started === ended + open ? held : `${held} ${started} started, ${ended} ended, ${open} in flight`;
}

async function heldBySimulator(simulator: SimulatorProcess): Promise<string> {
  const [ledger, state] = await Promise.all([simulator.get('ledger'), simulator.get('state')]);
  const { running, waiting, openRequests } = state;
  const held = Array.isArray(ledger['held']) && ledger['held'].length > 0 ? JSON.stringify(ledger['held']) : '';
  return `${held}${nonZero({ running, waiting, openRequests: Number(openRequests) > 1 ? openRequests : 0 })}`;
}

async function openBeyond(before: Before, idle: number): Promise<string> {
  if (!(before.process instanceof InstanceProcess)) return '';
  const { fds, timers, sockets } = await resources(before.process);
  const areMore =
    fds > before.fds + FDS_MORE + idle ||
    sockets > before.sockets + SOCKETS_MORE + idle ||
    timers > before.timers + TIMERS_MORE;
  const compared = { fds: [fds, before.fds], sockets: [sockets, before.sockets], timers: [timers, before.timers] };
  return areMore
    ? Object.entries(compared)
        .map(([name, [now, was]]) => `${now} ${name} after ${was}`)
        .join(', ')
    : '';
}

/** Waits until `look` finds nothing, or complains of what it found last. */
async function settles(look: () => Promise<string>, withinMs: number, complain: (what: string) => void): Promise<void> {
  let found = '';
  const isNothing = async (): Promise<boolean> => (found = await look()) === '';
  await eventually('nothing is found', isNothing, withinMs).catch((error: unknown) =>
    complain(found === '' ? String(error) : found),
  );
}

function nonZero(counts: Readonly<Record<string, unknown>>): string {
  return Object.entries(counts)
    .flatMap(([name, count]) => (count === 0 ? [] : [`${name} ${String(count)}`]))
    .join(', ');
}

function nameOf(process: Watched): string {
  return `${process instanceof InstanceProcess ? 'instance' : 'simulator'} ${process.url}`;
}
