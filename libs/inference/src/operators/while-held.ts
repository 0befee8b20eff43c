import { Observable, Subscription, type OperatorFunction } from 'rxjs';

/**
 * Runs `project` on a resource and gives the resource back as soon as the result has ended or nobody wants it.
 *
 * A resource is an Observable that acquires on subscription, emits itself once, stays silent, and releases in
 * its teardown: a sequence of the engine, an endpoint, a handoff. (Such a source never completes, so `switchMap`
 * alone would never complete either.) What ran on the resource is torn down before the resource itself: whoever
 * gets it next finds it unused.
 */
export function whileHeld<Resource, Result>(
  project: (resource: Resource) => Observable<Result>,
): OperatorFunction<Resource, Result> {
  return (source) =>
    new Observable((subscriber) => {
      let isHeld = false;
      const held = new Subscription();
      subscriber.add(held);
      held.add(
        source.subscribe({
          next: (resource) => {
            isHeld = true;
            // Teardowns run in the order in which they were added, so the resource's goes behind the result's.
            subscriber.remove(held);
            try {
              project(resource).subscribe(subscriber);
            } catch (error) {
              subscriber.error(error);
            }
            subscriber.add(held);
          },
          error: (error: unknown) => subscriber.error(error),
          complete: () => {
            if (!isHeld) subscriber.complete();
          },
        }),
      );
    });
}
