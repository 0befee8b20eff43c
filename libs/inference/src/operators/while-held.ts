import { Observable, type OperatorFunction } from 'rxjs';

/**
 * Runs `project` on a resource and gives the resource back as soon as the result has ended or nobody wants it.
 *
 * A resource is an Observable that acquires on subscription, emits itself once, stays silent, and releases in
 * its teardown: a sequence of the engine, an endpoint, a handoff. (Such a source never completes, so `switchMap`
 * alone would never complete either.)
 */
export function whileHeld<Resource, Result>(
  project: (resource: Resource) => Observable<Result>,
): OperatorFunction<Resource, Result> {
  return (source) =>
    new Observable((subscriber) => {
      let isHeld = false;
      subscriber.add(
        source.subscribe({
          next: (resource) => {
            isHeld = true;
            subscriber.add(project(resource).subscribe(subscriber));
          },
          error: (error: unknown) => subscriber.error(error),
          complete: () => {
            if (!isHeld) subscriber.complete();
          },
        }),
      );
    });
}
