import { InferenceError, type ResponsePart } from '@baton/inference';
import { defer, Observable, Subject, takeUntil, timer } from 'rxjs';
import { isResponsePart } from './is-response-part.js';

/** What keeps the faults of what a plugin brings from the requests that it is asked for. */
export interface Containment {
  /** A manager has to answer with a first part within this many ms, else the next one does; the same bounds a pick. */
  readonly firstPartTimeoutMs: number;
  /** Its plugin had too many faults: it is not asked. */
  readonly isOff: boolean;
  /** Told of each fault, with what went wrong. Must not throw and must return at once. */
  onFault(error: Error): void;
}

/** Something of a plugin had a fault, of which is told: while nothing was sent, somebody else can answer. */
export class ContainedFault extends Error {
  override readonly name = 'ContainedFault';
}

/**
 * The answer of a manager that may have faults: fails with a {@link ContainedFault} when it has one before its first part,
 * and has been unsubscribed from by then. What it fails with on purpose (an `InferenceError`) is passed on.
 *
 * @param onFault told of each fault, also of one after the first part (`isMidAnswer`), which the answer itself fails with.
 */
export function contained(
  parts: Observable<ResponsePart>,
  firstPartTimeoutMs: number,
  onFault: (error: Error, isMidAnswer: boolean) => void,
): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    // Reaches a source that is still being subscribed to, which its subscription cannot.
    const stop = new Subject<void>();
    let hasBegun = false;
    let isOver = false;
    const leave = (): void => {
      isOver = true;
      stop.next();
    };
    const fault = (error: Error): void => {
      if (isOver) return;
      leave();
      onFault(error, hasBegun);
      subscriber.error(hasBegun ? error : new ContainedFault(error.message, { cause: error }));
    };
    const silence = timer(firstPartTimeoutMs).subscribe(() =>
      fault(new Error(`It did not begin to answer within ${firstPartTimeoutMs} ms.`)),
    );
    subscriber.add(() => {
      silence.unsubscribe();
      leave();
    });
    // The type is what the plugin promises. It may also be no Observable of this rxjs, which `defer` finds out.
    defer((): Observable<unknown> => parts)
      .pipe(takeUntil(stop))
      .subscribe({
        next: (part) => {
          if (isOver) return;
          if (!isResponsePart(part)) return fault(new TypeError('It emitted something that is no part of an answer.'));
          hasBegun = true;
          silence.unsubscribe();
          subscriber.next(part);
        },
        error: (error: unknown) => {
          const isOwn = !(error instanceof InferenceError || error instanceof ContainedFault);
          if (isOwn) return fault(errorOf(error));
          if (!isOver) subscriber.error(error);
        },
        complete: () => {
          if (!hasBegun) return fault(new Error('It completed without a part.'));
          if (!isOver) subscriber.complete();
        },
      });
  });
}

/** Whatever was thrown, as an error. */
export function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`It threw something that is no error: ${typeof thrown}.`);
}
