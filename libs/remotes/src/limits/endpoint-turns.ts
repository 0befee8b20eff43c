import { FairQueue } from '@baton/inference';
import { Observable } from 'rxjs';
import { RemoteUnavailableError } from '../remote-unavailable.error.js';
import { roomIn, type EndpointLoad } from './endpoint-load.js';

/** Bounds of those who wait for an endpoint. */
export interface TurnsOptions {
  /** How many may wait; 0 lets none wait. */
  readonly maxWaiting: number;
  /** Longest wait, in ms. */
  readonly waitTimeoutMs: number;
}

/** Who wants an endpoint. */
export interface TurnRequest {
  /** Between whom turns are shared out evenly. */
  readonly owner: string;
  /** Any of these will do. */
  readonly loads: readonly EndpointLoad[];
  /** It is no use any more then, on the clock of `performance.now()`. */
  readonly deadlineMs: number | undefined;
}

interface Waiting {
  readonly loads: readonly EndpointLoad[];
  go(): void;
  refuse(): void;
}

/** Whose turn it is to take one of the endpoints of a pool: at once while there is room, else fair between owners. */
export class EndpointTurns {
  readonly #queue = new FairQueue<Waiting>();
  #isServing = false;
  #halfOpens: NodeJS.Timeout | undefined;

  /** @param loads all that anybody may want. */
  constructor(
    private readonly loads: readonly EndpointLoad[],
    private readonly options: TurnsOptions,
  ) {}

  /** How many wait for `load`, which may not be all that they wait for. */
  waitingFor(load: EndpointLoad): number {
    let count = 0;
    for (const { loads } of this.#queue) if (loads.includes(load)) count += 1;
    return count;
  }

  /**
   * Emits once there is room in one of `loads`, which has to be taken at once; unsubscribed before, it leaves the queue.
   * Fails with a `RemoteUnavailableError` of `busy`.
   */
  wait({ owner, loads, deadlineMs }: TurnRequest): Observable<void> {
    return new Observable((subscriber) => {
      // Who waits could not use any of them: each was offered to all when it became free.
      if (roomIn(loads).length > 0) {
        subscriber.next();
        subscriber.complete();
        return;
      }
      const waitMs = Math.min(this.options.waitTimeoutMs, (deadlineMs ?? Infinity) - performance.now());
      const isFull = this.#queue.size >= this.options.maxWaiting;
      if (waitMs <= 0 || (isFull && !this.#makeRoom(owner))) return subscriber.error(busy());
      const leave = (): void => {
        clearTimeout(timer);
        this.#queue.remove(owner, waiting);
        if (this.#queue.size === 0) clearTimeout(this.#halfOpens);
      };
      const waiting: Waiting = {
        loads,
        go: () => {
          subscriber.next();
          subscriber.complete();
        },
        refuse: () => subscriber.error(busy()),
      };
      const timer = setTimeout(() => waiting.refuse(), waitMs);
      this.#queue.add(owner, waiting);
      this.#watchBreakers();
      return leave;
    });
  }

  /** Room may have come about: lets in whoever can use it. */
  next(): void {
    // Who is let in may end at once, which makes room again: seen by the loop that let it in.
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      const canUse = ({ loads }: Waiting): boolean => roomIn(loads).length > 0;
      for (let next = this.#queue.take(canUse); next !== undefined; next = this.#queue.take(canUse)) next.go();
    } finally {
      this.#isServing = false;
    }
    this.#watchBreakers();
  }

  /** An endpoint that was left alone may be tried again without anything else having happened. */
  #watchBreakers(): void {
    clearTimeout(this.#halfOpens);
    if (this.#queue.size === 0) return;
    const soonestMs = Math.min(...this.loads.map(({ breaker }) => breaker.halfOpensInMs ?? Infinity));
    if (soonestMs < Infinity) this.#halfOpens = setTimeout(() => this.next(), Math.ceil(soonestMs));
  }

  #makeRoom(owner: string): boolean {
    const surplus = this.#queue.takeSurplus(owner);
    surplus?.refuse();
    return surplus !== undefined;
  }
}

function busy(): RemoteUnavailableError {
  return new RemoteUnavailableError('none', 'busy');
}
