import { InferenceError, type InferenceRequest } from '@baton/inference';
import type { Endpoint, EndpointPicker } from '@baton/remotes';
import { catchError, defer, NEVER, Observable, tap, throwIfEmpty, timeout, TimeoutError } from 'rxjs';
import { errorOf, type Containment } from './containment.js';

/**
 * A plugin's picker, in whose place `instead` picks when it has a fault: it throws, emits what it was not offered, or nothing
 * within {@link Containment.firstPartTimeoutMs}. Once it is switched off, `instead` picks at once. What it fails with on
 * purpose (an `InferenceError`) is passed on.
 */
export function containedPicker(
  picker: EndpointPicker,
  instead: () => EndpointPicker,
  containment: Containment,
): EndpointPicker {
  const pick = (request: InferenceRequest, endpoints: readonly Endpoint[]): Observable<Endpoint> =>
    defer(() => {
      const another = (): Observable<Endpoint> => instead().pick(request, endpoints);
      if (containment.isOff) return another();
      let hasPicked = false;
      return released(() => picker.pick(request, endpoints), containment).pipe(
        tap((endpoint) => {
          if (!endpoints.includes(endpoint)) throw new Error('It picked something that it was not offered.');
          hasPicked = true;
        }),
        timeout({ first: containment.firstPartTimeoutMs }),
        throwIfEmpty(() => new Error('It picked nothing.')),
        catchError((error: unknown) => {
          if (error instanceof InferenceError && !hasPicked) throw error;
          containment.onFault(error instanceof TimeoutError ? new Error('It took too long to pick.') : errorOf(error));
          // What is picked stays so: somebody has begun to use it.
          return hasPicked ? NEVER : another();
        }),
      );
    });
  return new Proxy(picker, {
    get(target, key) {
      if (key === 'pick') return pick;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' && key !== 'constructor' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** A pick whose teardown may throw, which would keep others from being run. */
function released(pick: () => Observable<Endpoint>, containment: Containment): Observable<Endpoint> {
  return new Observable((subscriber) => {
    const asked = defer(pick).subscribe({
      next: (endpoint) => subscriber.next(endpoint),
      error: (error: unknown) => subscriber.error(error),
      complete: () => subscriber.complete(),
    });
    return () => {
      try {
        asked.unsubscribe();
      } catch (error) {
        containment.onFault(errorOf(error));
      }
    };
  });
}
