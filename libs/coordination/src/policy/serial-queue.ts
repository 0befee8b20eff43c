import { defer, finalize, firstValueFrom, timeout } from 'rxjs';
import { policyBusy } from './policy-errors.js';

const MAX_WAITING = 64;
/** A file system that hangs must not hold everybody up. */
const STATE_TIMEOUT_MS = 10_000;

/** Runs tasks one after the other; what fails does not keep the next from running. Bounded. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @throws InferenceError 503 `policy_busy` when too many wait. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING) throw policyBusy();
    this.#waiting += 1;
    const result = this.#last.then(task).finally(() => (this.#waiting -= 1));
    this.#last = result.catch(() => undefined);
    return result;
  }

  /**
   * @param ask gets a signal that is aborted when its answer is not waited for any more.
   * @throws TimeoutError when the answer takes too long.
   */
  inTime<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const left = new AbortController();
    const answer = defer(() => ask(left.signal)).pipe(timeout(STATE_TIMEOUT_MS));
    return firstValueFrom(answer.pipe(finalize(() => left.abort())));
  }
}
