import { untilWoken } from '../engine/pause.js';
import { PrefixHash } from '../engine/prefix-hash.js';
import type { Fault, FaultKind, FaultOf, Leg } from './fault.js';

/** What of a request decides whether a fault befalls it. */
export interface Befallen {
  readonly leg: Leg;
  readonly path: string;
  readonly requestId: string | undefined;
}

interface SetFault {
  readonly fault: Fault;
  seen: number;
  befallen: number;
}

/** The misbehaviours that are set now. */
export class FaultSet {
  #faults: readonly SetFault[] = [];
  readonly #changed = new Set<() => void>();

  get all(): readonly object[] {
    return this.#faults.map(({ fault, seen, befallen }) => ({ ...fault, seen, befallen }));
  }

  /** Sets these and no others; requests that hang by another go on. */
  replace(faults: readonly Fault[]): void {
    this.#faults = faults.map((fault) => ({ fault, seen: 0, befallen: 0 }));
    for (const wake of [...this.#changed]) wake();
  }

  isSet(fault: Fault): boolean {
    return this.#faults.some((set) => set.fault === fault);
  }

  /** One that befalls no request in particular. */
  find<K extends FaultKind>(kind: K): FaultOf<K> | undefined {
    const found = this.#faults.find(({ fault }) => fault.kind === kind);
    return found?.fault as FaultOf<K> | undefined;
  }

  /** What befalls this request: decided once, so that a fault with `times: 1` befalls one request. */
  befall(request: Befallen): readonly Fault[] {
    return this.#faults.filter((set) => concerns(set.fault, request) && comesUp(set)).map(({ fault }) => fault);
  }

  /** Waits until the fault is no longer set. */
  untilCleared(fault: Fault, signal: AbortSignal): Promise<void> {
    return untilWoken((wake) => {
      const look = (): void => {
        if (!this.isSet(fault)) wake();
      };
      this.#changed.add(look);
      queueMicrotask(look);
      return () => this.#changed.delete(look);
    }, signal);
  }
}

function concerns({ where = 'any', path, requestId }: Fault, request: Befallen): boolean {
  return (
    (where === 'any' || where === request.leg) &&
    (path === undefined || request.path.includes(path)) &&
    (requestId === undefined || (request.requestId ?? '').includes(requestId))
  );
}

function comesUp(set: SetFault): boolean {
  const { times = Infinity, skip = 0, probability = 1, seed = 0 } = set.fault;
  const index = set.seen++;
  if (index < skip || set.befallen >= times) return false;
  if (probability < 1 && new PrefixHash().push(seed).push(index).number() / 2 ** 32 >= probability) return false;
  set.befallen += 1;
  return true;
}
