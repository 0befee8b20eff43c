import { Observable, type MonoTypeOperatorFunction } from 'rxjs';

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
      const recovered = (error: unknown): void => {
        const other = hasEmitted ? undefined : recover(error);
        if (other === undefined) subscriber.error(error);
        else other.subscribe(subscriber);
      };
      subscriber.add(
        source.subscribe({
          next: (value) => {
            hasEmitted = true;
            subscriber.next(value);
          },
          error: (error: unknown) => {
            try {
              recovered(error);
            } catch (failure) {
              subscriber.error(failure);
            }
          },
          complete: () => subscriber.complete(),
        }),
      );
    });
}
