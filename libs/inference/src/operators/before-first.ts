import { Observable, type MonoTypeOperatorFunction, type Subscription } from 'rxjs';

/**
 * Goes on with another answer when the source fails before it has emitted anything. Once the first part is out,
 * a failure is final: the client has seen part of this answer.
 *
 * @param recover the answer to go on with, or undefined to pass the error on.
 */
export function recoverBeforeFirst<T>(
  recover: (error: unknown) => Observable<T> | undefined,
): MonoTypeOperatorFunction<T> {
  return (source) =>
    new Observable((subscriber) => {
      let hasEmitted = false;
      const first: Subscription = source.subscribe({
        next: (value) => {
          hasEmitted = true;
          subscriber.next(value);
        },
        error: (error: unknown) => {
          const other = hasEmitted ? undefined : recover(error);
          if (other === undefined) subscriber.error(error);
          else subscriber.add(other.subscribe(subscriber));
        },
        complete: () => subscriber.complete(),
      });
      subscriber.add(first);
    });
}
