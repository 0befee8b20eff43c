import type { ResponsePart } from '@baton/inference';
import { Observable } from 'rxjs';
import { RemoteUnavailableError, type UnavailableReason } from '../remote-unavailable.error.js';
import { hasAnswered, type Breaker } from './breaker.js';

/**
 * How a leg on a remote ended: `ok`; left before its end (`cancelled`); why the remote did not do it; or `refused`: an error
 * that is about the request, or an answer that is none.
 */
export type AttemptResult = 'ok' | 'cancelled' | 'refused' | Exclude<UnavailableReason, 'no_endpoint'>;

/** Runs a leg, and tells the breaker and `onEnd` what became of it. */
export function attempt(
  parts: Observable<ResponsePart>,
  breaker: Breaker,
  onEnd: (result: AttemptResult) => void,
): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    let hasBegun = false;
    let isOver = false;
    const end = (result: AttemptResult): void => {
      isOver = true;
      onEnd(result);
    };
    const answered = (): void => {
      if (!hasBegun) breaker.succeeded();
      hasBegun = true;
    };
    // Before the source: one that ends at once must find it there.
    subscriber.add(() => {
      if (!isOver) onEnd('cancelled');
    });
    return parts.subscribe({
      next: (part) => {
        answered();
        subscriber.next(part);
      },
      error: (error: unknown) => {
        const isUp = hasBegun ? undefined : hasAnswered(error);
        if (isUp === true) breaker.succeeded();
        if (isUp === false) breaker.failed();
        end(resultOf(error));
        subscriber.error(error);
      },
      complete: () => {
        answered();
        end('ok');
        subscriber.complete();
      },
    });
  });
}

function resultOf(error: unknown): AttemptResult {
  return error instanceof RemoteUnavailableError && error.reason !== 'no_endpoint' ? error.reason : 'refused';
}
