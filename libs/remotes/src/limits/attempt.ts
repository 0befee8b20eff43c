import type { LegTrace, ResponsePart } from '@baton/inference';
import { Observable } from 'rxjs';
import { RemoteUnavailableError, type UnavailableReason } from '../remote-unavailable.error.js';
import { hasAnswered, type Breaker } from './breaker.js';

/**
 * How a leg on a remote ended: `ok`; left before its end (`cancelled`); why the remote did not do it; or `refused`: an error
 * that is about the request, or an answer that is none.
 */
export type AttemptResult = 'ok' | 'cancelled' | 'refused' | Exclude<UnavailableReason, 'no_endpoint'>;

/** Told of one leg. */
export interface AttemptObserver {
  /** The leg is about to be sent. Gives who is told how it goes on, besides. */
  trace?(): LegTrace | undefined;
  /** The remote has begun to answer, in whatever way: it is there. */
  onAnswered(): void;
  onEnd(result: AttemptResult): void;
}

/** Runs a leg, and tells the breaker and `observer` what became of it. */
export function attempt(
  parts: Observable<ResponsePart>,
  breaker: Breaker,
  observer: AttemptObserver,
): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    let hasBegun = false;
    let isOver = false;
    const trace = observer.trace?.();
    const end = (result: AttemptResult): void => {
      isOver = true;
      if (result === 'ok') trace?.ended('complete');
      else if (result === 'cancelled') trace?.ended('left');
      else trace?.ended('failed', result);
      observer.onEnd(result);
    };
    const isThere = (): void => {
      breaker.succeeded();
      observer.onAnswered();
    };
    const failed = (error: unknown): void => {
      const isStopping = error instanceof RemoteUnavailableError && error.reason === 'busy' && error.isUntouched;
      if (isStopping) breaker.stopping();
      else breaker.failed();
    };
    const answered = (): void => {
      if (!hasBegun) isThere();
      hasBegun = true;
    };
    // Before the source: one that ends at once must find it there.
    subscriber.add(() => {
      if (!isOver) end('cancelled');
    });
    return parts.subscribe({
      next: (part) => {
        if (!hasBegun) trace?.firstPart();
        answered();
        subscriber.next(part);
      },
      error: (error: unknown) => {
        const isUp = hasBegun ? undefined : hasAnswered(error);
        if (isUp === true) isThere();
        if (isUp === false) failed(error);
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
