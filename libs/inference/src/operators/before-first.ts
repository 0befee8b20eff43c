import { catchError, defer, tap, type MonoTypeOperatorFunction, type Observable } from 'rxjs';

/**
 * Goes on with another answer when the source fails before it has emitted anything; the source is torn down first.
 * Once the first part is out, a failure is final: the client has seen part of this answer.
 *
 * @param recover the answer to go on with, or undefined to pass the error on.
 */
export function recoverBeforeFirst<T>(
  recover: (error: unknown) => Observable<T> | undefined,
): MonoTypeOperatorFunction<T> {
  return (source) =>
    defer(() => {
      let hasEmitted = false;
      return source.pipe(
        tap(() => (hasEmitted = true)),
        catchError((error: unknown) => {
          const other = hasEmitted ? undefined : recover(error);
          if (other === undefined) throw error;
          return other;
        }),
      );
    });
}
