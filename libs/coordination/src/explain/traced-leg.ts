import type { InferenceRequest, LegTrace, ResponsePart } from '@baton/inference';
import { defer, Observable } from 'rxjs';
import { failureName } from './failure-name.js';

/** This instance as the endpoint of a leg. */
export const HERE = 'local';

/** The parts of a leg that runs on this instance, of which its trace is told. */
export function tracedLeg(leg: InferenceRequest, parts: Observable<ResponsePart>): Observable<ResponsePart> {
  const { trace } = leg;
  if (trace === undefined) return parts;
  return defer(() => toldTo(trace.leg({ id: leg.id, endpoint: HERE, request: leg }), parts));
}

/** Passes `parts` through and tells `told` how they go on. */
export function toldTo(told: LegTrace, parts: Observable<ResponsePart>): Observable<ResponsePart> {
  return new Observable((subscriber) => {
    let hasBegun = false;
    // Before the source: one that ends at once must find it there. After another end it means nothing.
    subscriber.add(() => told.ended('left'));
    return parts.subscribe({
      next: (part) => {
        if (!hasBegun) told.firstPart();
        hasBegun = true;
        subscriber.next(part);
      },
      error: (error: unknown) => {
        told.ended('failed', failureName(error));
        subscriber.error(error);
      },
      complete: () => {
        told.ended('complete');
        subscriber.complete();
      },
    });
  });
}
