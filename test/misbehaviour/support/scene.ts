import type { Fault, FaultKind } from '../../../apps/simulator/src/faults/fault.js';
import type { RequestRecord } from '../../../apps/simulator/src/http/request-record.js';
import { eventually } from '../../support/eventually.js';
import type { InstanceProcess } from '../../support/instance-process.js';
import type { SimulatorProcess } from '../../support/simulator-process.js';
import { countersOf, moved, type Counters } from './counters.js';

/** The processes of a {@link Scene}. */
export interface Cast {
  readonly instance: InstanceProcess;
  readonly prefills: readonly SimulatorProcess[];
  readonly decode: SimulatorProcess;
}

/** What the simulators of either side are made to do. */
export interface Faults {
  readonly prefill?: readonly Fault[];
  readonly decode?: readonly Fault[];
}

/** What was seen of an act. */
export interface Played<T> {
  readonly result: T;
  /** Everything that the instance's counters have moved by. */
  readonly moved: Counters;
  /** What the simulators were sent, and what befell it. */
  readonly prefill: readonly RequestRecord[];
  readonly decode: readonly RequestRecord[];
  /** From the end of the act until nothing was held anywhere. */
  readonly quietMs: number;
}

/** What is waited for when an act is over. */
export interface Quiet {
  readonly withinMs?: number;
  /** Caches that are kept for a lease, and nothing else. */
  readonly leasesMayStay?: boolean;
}

/** One request needs a few milliseconds; a busy machine gets time. */
const QUIET_WITHIN_MS = 2_000;

/** Acts of misbehaviour: faults before, what moved after, and nothing held in the end. */
export class Scene {
  constructor(readonly cast: Cast) {}

  get url(): string {
    return this.cast.instance.url;
  }

  get simulators(): readonly SimulatorProcess[] {
    return [...this.cast.prefills, this.cast.decode];
  }

  /** Lets `act` happen with these faults, waits until all is quiet, and takes the faults away. */
  async play<T>(faults: Faults, act: () => Promise<T>, quiet: Quiet = {}): Promise<Played<T>> {
    const { instance, prefills, decode } = this.cast;
    await Promise.all([...this.simulators.map((simulator) => simulator.forget()), this.misbehave(faults)]);
    const before = await countersOf(instance);
    try {
      const result = await act();
      const quietMs = await this.quiet(quiet);
      const after = await countersOf(instance);
      return {
        ...{ result, quietMs, moved: moved(before, after) },
        prefill: (await Promise.all(prefills.map(recordsOf))).flat(),
        decode: await recordsOf(decode),
      };
    } finally {
      await this.misbehave({});
    }
  }

  /** Sets these faults and no others. */
  async misbehave({ prefill = [], decode = [] }: Faults): Promise<void> {
    const { prefills, decode: decoder } = this.cast;
    await Promise.all([...prefills.map((each) => each.misbehave(prefill)), decoder.misbehave(decode)]);
  }

  /** Waits until the instance and the simulators hold nothing and do nothing. */
  async quiet({ withinMs = QUIET_WITHIN_MS, leasesMayStay = false }: Quiet = {}): Promise<number> {
    let held: readonly unknown[] = [];
    const isQuiet = async (): Promise<boolean> => (held = await this.#held(leasesMayStay)).length === 0;
    return eventually('nothing is held', isQuiet, withinMs).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${JSON.stringify(held, undefined, 1)}`);
    });
  }

  /** What is held, in words for a failed test. */
  async #held(leasesMayStay: boolean): Promise<readonly unknown[]> {
    const metrics = await this.cast.instance.metrics();
    const own = ['baton_inflight_requests', 'baton_handoffs_open'].filter((name) => metrics(name) !== 0);
    if (own.length > 0) return own;
    const of = async (simulator: SimulatorProcess): Promise<unknown[]> => {
      const { running, waiting, openRequests } = await simulator.get('state');
      const held = (await holdingsOf(simulator)).filter((holding) => !leasesMayStay || !isLeased(holding));
      const isIdle = running === 0 && waiting === 0 && openRequests === 0;
      return isIdle ? held : [...held, { running, waiting, openRequests }];
    };
    return (await Promise.all(this.simulators.map(of))).flat();
  }
}

interface HeldBlocks {
  readonly leaseEndsInMs: number | null;
}

const holdingsOf = async (simulator: SimulatorProcess): Promise<readonly HeldBlocks[]> =>
  (await simulator.get('ledger'))['held'] as readonly HeldBlocks[];

/** Left for a decode, or pushed to one that has not come. */
const isLeased = ({ leaseEndsInMs }: HeldBlocks): boolean => leaseEndsInMs !== null;

/** How many caches a simulator has kept that nobody came for: their lease ends, or has ended. */
export async function abandonedBy(simulator: SimulatorProcess): Promise<number> {
  const { held, freed } = await simulator.get('ledger');
  const ended = (freed as Record<string, number>)['lease_expired'] ?? 0;
  return ended + (held as readonly HeldBlocks[]).filter(isLeased).length;
}

/** The inference requests that a simulator was sent. */
export async function recordsOf(simulator: SimulatorProcess): Promise<readonly RequestRecord[]> {
  return (await simulator.get('requests')) as unknown as readonly RequestRecord[];
}

/** Proof that a misbehaviour happened: to how many of these requests. */
export const befallen = (records: readonly RequestRecord[], kind: FaultKind): number =>
  records.filter(({ faults }) => faults.some((fault) => fault.kind === kind)).length;
