import { InferenceError } from '@baton/inference';
import type { Subscriber } from 'rxjs';

/** The longest time that a timer of Node.js can wait; anything above would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * Ends `subscriber` with 504 `deadline_exceeded` when `deadlineMs` passes, at once when it has passed.
 *
 * @param deadlineMs on the clock of `performance.now()`; undefined is never.
 */
export function endAtDeadline(subscriber: Subscriber<unknown>, deadlineMs: number | undefined): void {
  if (deadlineMs === undefined) return;
  const remainingMs = deadlineMs - performance.now();
  const end = (): void => subscriber.error(deadlineExceeded());
  if (remainingMs <= 0) return end();
  const timer = setTimeout(end, Math.min(MAX_TIMER_MS, remainingMs));
  subscriber.add(() => clearTimeout(timer));
}

function deadlineExceeded(): InferenceError {
  return new InferenceError('The engine did not finish in the time that the request has.', {
    status: 504,
    code: 'deadline_exceeded',
  });
}
