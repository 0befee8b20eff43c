import { deadlineExceeded, invalidRequest, MAX_TIMER_MS, TIMEOUT_HEADER } from '@baton/inference';
import type { IncomingHttpHeaders } from 'node:http';
import { Observable, type MonoTypeOperatorFunction } from 'rxjs';

/**
 * When the answer to a request that has just come has to be there, on the clock of `performance.now()`.
 *
 * @param totalTimeoutMs the most that a client may ask for, and what it has when it asks for nothing
 * @throws InferenceError 400 when the header is no whole number above 0.
 */
export function deadlineOf(headers: IncomingHttpHeaders, totalTimeoutMs: number): number {
  const asked = headers[TIMEOUT_HEADER];
  if (asked === undefined) return performance.now() + totalTimeoutMs;
  // More digits than that are above any cap.
  if (typeof asked !== 'string' || !/^0*[1-9]\d{0,14}$/.test(asked)) {
    throw invalidRequest(
      `${TIMEOUT_HEADER} must be a whole number of milliseconds above 0.`,
      TIMEOUT_HEADER,
      'invalid_request',
    );
  }
  return performance.now() + Math.min(Number(asked), totalTimeoutMs);
}

/** Fails when `deadlineMs` passes before the source has ended; the source is unsubscribed. Never when undefined. */
export function untilDeadline<T>(deadlineMs: number | undefined): MonoTypeOperatorFunction<T> {
  return (source) => {
    if (deadlineMs === undefined) return source;
    return new Observable((subscriber) => {
      const timer = setTimeout(
        () => subscriber.error(deadlineExceeded()),
        Math.min(MAX_TIMER_MS, Math.max(0, deadlineMs - performance.now())),
      );
      // Before the source: one that ends at once must find it there to be cleared.
      subscriber.add(() => clearTimeout(timer));
      source.subscribe(subscriber);
    });
  };
}
