import { Observable, type Subscriber } from 'rxjs';
import { FairQueue } from './fair-queue.js';

/** Bounds of {@link Permits}. */
export interface PermitsOptions {
  /** How many are held at once. */
  readonly max: number;
  /** How many may wait for one; 0 lets none wait. */
  readonly maxWaiting: number;
  /** Longest wait, in ms. */
  readonly timeoutMs: number;
}

/** Why there was no permit: too many were waiting, or one did not become free in time. */
export type NoPermitReason = 'queue_full' | 'wait_timeout';

/** There was no permit. */
export class NoPermitError extends Error {
  override readonly name = 'NoPermitError';

  constructor(readonly reason: NoPermitReason) {
    super(reason === 'queue_full' ? 'Too many are waiting.' : 'The wait took too long.');
  }
}

/**
 * A bounded number of permits with a bounded queue, fair between owners: a permit that becomes free goes to the owner whose
 * turn it is, and a full queue makes room for an owner with fewer in it by refusing the latest of the one with the most.
 */
export class Permits {
  readonly #queue = new FairQueue<Waiting>();
  #held = 0;
  #isServing = false;

  constructor(private readonly options: PermitsOptions) {}

  get held(): number {
    return this.#held;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Whether nobody can be held or wait any more. */
  get isFull(): boolean {
    return this.#held >= this.options.max && this.#queue.size >= this.options.maxWaiting;
  }

  /**
   * A resource: emits once when the permit is there, at once when one is free, and gives it back when unsubscribed.
   * Unsubscribed before, it leaves the queue. Fails with a {@link NoPermitError}.
   *
   * @param owner between whom permits are shared out evenly.
   */
  acquire(owner: string): Observable<void> {
    return new Observable((subscriber) => {
      if (this.#held < this.options.max) return this.#give(subscriber);
      if (this.#queue.size >= this.options.maxWaiting && !this.#makeRoom(owner)) {
        subscriber.error(new NoPermitError('queue_full'));
        return;
      }
      this.#wait(owner, subscriber);
    });
  }

  #give(subscriber: Subscriber<void>): void {
    this.#held += 1;
    subscriber.add(() => {
      this.#held -= 1;
      this.#next();
    });
    subscriber.next();
  }

  #wait(owner: string, subscriber: Subscriber<void>): void {
    const waiting: Waiting = {
      give: () => {
        leave();
        this.#give(subscriber);
      },
      refuse: (reason) => subscriber.error(new NoPermitError(reason)),
    };
    const timer = setTimeout(() => waiting.refuse('wait_timeout'), this.options.timeoutMs);
    const leave = (): void => {
      clearTimeout(timer);
      this.#queue.remove(owner, waiting);
    };
    this.#queue.add(owner, waiting);
    subscriber.add(leave);
  }

  /** Who is let in may end at once, which gives its permit back: seen by the loop that let it in, however many they are. */
  #next(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      while (this.#held < this.options.max) {
        const next = this.#queue.take();
        if (next === undefined) break;
        next.give();
      }
    } finally {
      this.#isServing = false;
    }
  }

  #makeRoom(owner: string): boolean {
    const latest = this.#queue.takeSurplus(owner);
    latest?.refuse('queue_full');
    return latest !== undefined;
  }
}

interface Waiting {
  give(): void;
  refuse(reason: NoPermitReason): void;
}
