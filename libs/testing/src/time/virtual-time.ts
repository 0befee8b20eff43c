import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers';
import { TimerQueue } from './timer-queue.js';

/** Turns of the event loop after which what was resolved has gone on: promises that wait for promises that wait. */
const TURNS = 3;
/** More timers than any check needs: what sets timers without end is not waited for. */
const MOST_TIMERS = 200_000;

/**
 * Time that passes only when it is told to. Within {@link VirtualTime.run} it stands behind `setTimeout`, `setInterval`,
 * `Date.now` and `performance.now`, and with them behind the timers of RxJS. Promises and `setImmediate` stay as they are;
 * so do `node:timers`, `node:timers/promises` and `AbortSignal.timeout`, and files and sockets.
 */
export class VirtualTime {
  readonly #queue: TimerQueue;

  #restore: () => void;

  private constructor(queue: TimerQueue) {
    this.#queue = queue;
    this.#restore = queue.install();
  }

  /**
   * Runs `work` in virtual time. One at a time in a process: another waits until this one has ended.
   *
   * @throws Error when it is called within another run, which would wait for itself.
   */
  static async run<T>(work: (time: VirtualTime) => Promise<T>): Promise<T> {
    if (inside.getStore() === true) throw new Error('Virtual time cannot be run within virtual time.');
    const before = last;
    let done = (): void => undefined;
    last = new Promise((resolve) => (done = resolve));
    await before;
    const queue = new TimerQueue();
    const time = new VirtualTime(queue);
    try {
      return await inside.run(true, () => work(time));
    } finally {
      queue.clearAll();
      time.#restore();
      done();
    }
  }

  /** Runs `work`, which waits for files or for other processes, in the time of the process. This time stands still meanwhile. */
  async inRealTime<T>(work: () => Promise<T>): Promise<T> {
    this.#restore();
    try {
      return await work();
    } finally {
      this.#restore = this.#queue.install();
    }
  }

  /** Since this time began, in ms. */
  get elapsedMs(): number {
    return this.#queue.elapsedMs;
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#queue.size;
  }

  /** What timers have thrown, which is where errors go that RxJS finds nobody for. */
  get thrown(): readonly unknown[] {
    return this.#queue.thrown;
  }

  /** Lets promises go on. No time passes. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn += 1) await new Promise<void>((resolve) => nextTurn(resolve));
  }

  /** Lets `ms` pass. @throws Error when more timers are due in that time than can be meant. */
  async advance(ms: number): Promise<void> {
    await this.advanceUntil(() => false, ms);
  }

  /**
   * Lets time pass, timer by timer, until `isSo`.
   *
   * @returns whether it was so within `limitMs`; all of them have passed when not.
   */
  async advanceUntil(isSo: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.elapsedMs + limitMs;
    await this.settle();
    for (let count = 0; !isSo(); count += 1) {
      if (count >= MOST_TIMERS) throw new Error(`More than ${MOST_TIMERS} timers in ${limitMs} ms of virtual time.`);
      const ran = this.#queue.runNext(endMs);
      await this.settle();
      if (!ran) return isSo();
    }
    return true;
  }

  /** The result of `promise`, letting time pass while it is not there. @throws Error when it is not there in `limitMs`. */
  async until<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    let isOver = false;
    const over = (): void => void (isOver = true);
    promise.then(over, over);
    if (await this.advanceUntil(() => isOver, limitMs)) return promise;
    throw new Error(`It did not end within ${limitMs} ms of virtual time.`);
  }
}

/** The end of the run that was asked for last. */
let last: Promise<void> = Promise.resolve();
const inside = new AsyncLocalStorage<boolean>();
