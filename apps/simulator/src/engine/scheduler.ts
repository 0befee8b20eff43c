import type { Holding, KvLedger } from '../ledger/kv-ledger.js';
import { badRequest, EngineError } from './engine-error.js';

/** What the scheduler is asked for. */
export interface Admission {
  readonly legId: string;
  readonly id: string;
  readonly promptTokens: number;
  readonly rank: number;
  readonly signal: AbortSignal;
}

/** Limits of {@link Scheduler}. */
export interface SchedulerLimits {
  readonly maxRunning: number;
  readonly maxQueued: number;
}

interface Waiting extends Admission {
  readonly resolve: (holding: Holding) => void;
  readonly settled: () => void;
}

/** Who runs and who waits: first come, first served, as far as there are places and blocks. */
export class Scheduler {
  readonly #waiting: Waiting[] = [];
  readonly #runningOf: number[];
  #rejections = 0;

  constructor(
    readonly limits: SchedulerLimits,
    readonly ledger: KvLedger,
    readonly ranks: number,
  ) {
    this.#runningOf = Array.from({ length: ranks }, () => 0);
    ledger.onFreed(() => this.#pump());
  }

  get running(): number {
    return this.#runningOf.reduce((sum, count) => sum + count, 0);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get rejections(): number {
    return this.#rejections;
  }

  runningOn(rank: number): number {
    return this.#runningOf[rank] ?? 0;
  }

  /** The rank that has least to do. */
  leastLoadedRank(): number {
    return this.#runningOf.indexOf(Math.min(...this.#runningOf));
  }

  /**
   * Blocks for the prompt, once it is this request's turn.
   *
   * @throws EngineError at once when there is no place in the queue, or will never be enough blocks.
   */
  enter(admission: Admission): Promise<Holding> {
    const { promptTokens, signal } = admission;
    if (this.ledger.blocksFor(promptTokens) > this.ledger.blocks)
      throw badRequest(`The prompt of ${promptTokens} tokens does not fit into the KV cache.`, 'prompt');
    signal.throwIfAborted();
    let resolve: (holding: Holding) => void = () => undefined;
    let reject: (reason: unknown) => void = () => undefined;
    const turn = new Promise<Holding>((...settle) => ([resolve, reject] = settle));
    const leave = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      reject(signal.reason);
      this.#pump();
    };
    const waiting: Waiting = { ...admission, resolve, settled: () => signal.removeEventListener('abort', leave) };
    this.#waiting.push(waiting);
    this.#pump();
    if (!this.#waiting.includes(waiting)) return turn;
    if (this.#waiting.length > this.limits.maxQueued) {
      this.#waiting.pop();
      throw this.overloaded();
    }
    signal.addEventListener('abort', leave, { once: true });
    return turn;
  }

  /** The answer to a request for which there is no place in the queue. */
  overloaded(): EngineError {
    this.#rejections += 1;
    const message = `The server is busy: ${this.#waiting.length} requests are queued. Please retry later.`;
    return new EngineError(503, message, null, 'Service Unavailable');
  }

  /** A place is free again. */
  leave(rank: number): void {
    this.#runningOf[rank] = this.runningOn(rank) - 1;
    this.#pump();
  }

  #pump(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.running >= this.limits.maxRunning) return;
      const holding = this.ledger.allocate(next.legId, next.id, next.promptTokens);
      if (holding === undefined) return;
      this.#waiting.shift();
      this.#runningOf[next.rank] = this.runningOn(next.rank) + 1;
      next.settled();
      next.resolve(holding);
    }
  }
}
