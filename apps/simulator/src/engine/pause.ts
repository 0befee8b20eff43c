import { setImmediate } from 'node:timers/promises';

/** Waits; fails with the signal's reason when it aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return untilWoken((wake) => {
    const timer = setTimeout(wake, ms);
    return () => clearTimeout(timer);
  }, signal);
}

/** Waits until `subscribe`'s callback is called; fails with the signal's reason when it aborts. */
export function untilWoken(subscribe: (wake: () => void) => () => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    let unsubscribe = (): void => undefined;
    const onAbort = (): void => {
      unsubscribe();
      reject(signal.reason);
    };
    const wake = (): void => {
      unsubscribe();
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    unsubscribe = subscribe(wake);
  });
}

/** Gives `work` a signal that also aborts after `ms`. */
export async function within<T>(
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const leave = (): void => limit.abort(signal.reason);
  const timer = setTimeout(() => limit.abort(new Error(`timed out after ${ms} ms`)), ms);
  timer.unref();
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
  }
}

/** What is slower than a timer's tick is waited for, what is faster is done together. */
const TICK_MS = 1;
const STEPS_BETWEEN_TURNS = 16;

/** Keeps a pace by the clock, not by the sum of its timers; others get their turn even when there is no pace. */
export class Pace {
  #dueAtMs = performance.now();
  #steps = 0;

  constructor(readonly signal: AbortSignal) {}

  async spend(ms: number): Promise<void> {
    this.#dueAtMs = Math.max(this.#dueAtMs, performance.now() - TICK_MS) + ms;
    const wait = this.#dueAtMs - performance.now();
    this.#steps += 1;
    if (ms > 0 && wait >= TICK_MS) await pause(wait, this.signal);
    else if (this.#steps % STEPS_BETWEEN_TURNS === 0) await setImmediate();
    this.signal.throwIfAborted();
  }
}
