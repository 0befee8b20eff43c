import { InferenceError, NoPermitError, Permits } from '@baton/inference';
import { Observable, Subscription } from 'rxjs';

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

/** The engine's sequences, lent to requests: evenly to callers, and to those of one caller in the order in which they came. */
export class SequencePool<Slot extends PoolSlot> {
  /** Least recently used first: that one is given away when no other knows the prompt better. */
  readonly #idle: Slot[];
  /** One for each slot. It is given back when the slot is settled, not when it is let go. */
  readonly #permits: Permits;
  /** Slots that are let go, but not settled yet. */
  readonly #returning = new Set<Promise<void>>();
  readonly #options: SequencePoolOptions;
  readonly size: number;

  constructor(slots: readonly Slot[], options: SequencePoolOptions) {
    const { maxWaiting, waitTimeoutMs: timeoutMs } = options;
    this.#idle = [...slots];
    this.#permits = new Permits({ max: slots.length, maxWaiting, timeoutMs });
    this.#options = options;
    this.size = slots.length;
  }

  get idle(): number {
    return this.#idle.length;
  }

  get waiting(): number {
    return this.#permits.waiting;
  }

  /**
   * A slot, preferably one that has seen the beginning of `prompt`. A resource: it emits the slot, stays silent,
   * and gives it back when it is unsubscribed. While it waits, unsubscribing leaves the queue.
   *
   * @param owner who asks: between owners, slots are shared out evenly.
   */
  acquire(prompt: readonly number[], owner: string): Observable<Slot> {
    return new Observable((subscriber) => {
      let slot: Slot | undefined;
      const permit = new Subscription();
      // Unsubscribed while `next` runs, too, the slot must come back: so the teardown is there before.
      subscriber.add(() => (slot === undefined ? permit.unsubscribe() : void this.#takeBack(slot, permit)));
      permit.add(
        this.#permits.acquire(owner).subscribe({
          next: () => {
            slot = this.#bestFor(prompt);
            subscriber.next(slot);
          },
          error: (error: unknown) => subscriber.error(this.#refusal(error)),
        }),
      );
    });
  }

  #refusal(error: unknown): unknown {
    if (!(error instanceof NoPermitError)) return error;
    return error.reason === 'queue_full' ? overloaded() : waitedTooLong(this.#options.waitTimeoutMs);
  }

  #bestFor(prompt: readonly number[]): Slot {
    const best = this.#idle.reduce(
      (found, slot, index) => {
        const tokens = slot.reusableTokens(prompt);
        return tokens > found.tokens ? { index, tokens } : found;
      },
      { index: 0, tokens: 0 },
    );
    const [slot] = this.#idle.splice(best.index, 1);
    if (slot === undefined) throw new Error('There are more permits than sequences.');
    return slot;
  }

  /** Resolves when nothing runs any more in slots that were let go. */
  async drained(): Promise<void> {
    while (this.#returning.size > 0) await Promise.all(this.#returning);
  }

  async #takeBack(slot: Slot, permit: Subscription): Promise<void> {
    const settled = slot.settled();
    this.#returning.add(settled);
    await settled;
    this.#returning.delete(settled);
    this.#idle.push(slot);
    permit.unsubscribe();
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
