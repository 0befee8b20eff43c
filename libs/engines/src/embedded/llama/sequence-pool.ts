import { InferenceError } from '@baton/inference';
import { Observable } from 'rxjs';

/** What the pool needs to know of a slot. */
export interface PoolSlot {
  /** Tokens of `prompt` that need no evaluation in this slot. */
  reusableTokens(prompt: readonly number[]): number;
  /** Resolves when the slot may be handed on. */
  settled(): Promise<void>;
}

export interface SequencePoolOptions {
  /** Requests that may wait; one more fails with 503 `engine_overloaded`. */
  readonly maxWaiting: number;
  /** Longest wait in milliseconds; then 503 `engine_wait_timeout`. */
  readonly waitTimeoutMs: number;
}

interface Waiter<Slot> {
  readonly prompt: readonly number[];
  readonly take: (slot: Slot) => void;
}

/** The engine's sequences, lent to requests in the order in which they came. */
export class SequencePool<Slot extends PoolSlot> {
  /** Least recently used first: that one is given away when no other knows the prompt better. */
  readonly #idle: Slot[];
  readonly #waiting = new Set<Waiter<Slot>>();
  /** Slots that are let go, but not settled yet. */
  readonly #returning = new Set<Promise<void>>();
  readonly #options: SequencePoolOptions;
  readonly size: number;

  constructor(slots: readonly Slot[], options: SequencePoolOptions) {
    this.#idle = [...slots];
    this.#options = options;
    this.size = slots.length;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * A slot, preferably one that has seen the beginning of `prompt`. A resource: it emits the slot, stays silent,
   * and gives it back when it is unsubscribed. While it waits, unsubscribing leaves the queue.
   */
  acquire(prompt: readonly number[]): Observable<Slot> {
    return new Observable((subscriber) => {
      const lend = (slot: Slot): void => {
        // Unsubscribed while `next` runs, too, the slot must come back: so the teardown is there before.
        subscriber.add(() => void this.#takeBack(slot));
        subscriber.next(slot);
      };
      const slot = this.#waiting.size === 0 ? this.#bestFor(prompt) : undefined;
      if (slot !== undefined) return lend(slot);
      if (this.#waiting.size >= this.#options.maxWaiting) return subscriber.error(overloaded());

      const waiter: Waiter<Slot> = {
        prompt,
        take: (found) => {
          leaveQueue();
          lend(found);
        },
      };
      const timer = setTimeout(
        () => subscriber.error(waitedTooLong(this.#options.waitTimeoutMs)),
        this.#options.waitTimeoutMs,
      );
      const leaveQueue = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
      };
      this.#waiting.add(waiter);
      subscriber.add(leaveQueue);
    });
  }

  #bestFor(prompt: readonly number[]): Slot | undefined {
    const best = this.#idle.reduce(
      (found, slot, index) => {
        const tokens = slot.reusableTokens(prompt);
        return tokens > found.tokens ? { index, tokens } : found;
      },
      { index: 0, tokens: 0 },
    );
    return this.#idle.splice(best.index, 1)[0];
  }

  /** Resolves when nothing runs any more in slots that were let go. */
  async drained(): Promise<void> {
    while (this.#returning.size > 0) await Promise.all(this.#returning);
  }

  async #takeBack(slot: Slot): Promise<void> {
    const settled = slot.settled();
    this.#returning.add(settled);
    await settled;
    this.#returning.delete(settled);
    this.#idle.push(slot);
    const [next] = this.#waiting;
    if (next === undefined) return;
    const found = this.#bestFor(next.prompt);
    if (found !== undefined) next.take(found);
  }
}

/** The 503 of an engine that has more requests than it lets wait. */
export function overloaded(): InferenceError {
  return new InferenceError('The engine is overloaded: too many requests are waiting.', {
    status: 503,
    code: 'engine_overloaded',
    retryAfterSeconds: 1,
  });
}

function waitedTooLong(waitTimeoutMs: number): InferenceError {
  return new InferenceError(`No sequence of the engine became free within ${waitTimeoutMs} ms.`, {
    status: 503,
    code: 'engine_wait_timeout',
    retryAfterSeconds: 1,
  });
}
