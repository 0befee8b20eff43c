import type { InferenceRequest, ResponsePart } from '@baton/inference';
import type { Observable } from 'rxjs';
import type { Endpoint } from './endpoint.js';

/** Where a leg runs: on this instance, or on a remote that was picked for it. */
export interface LegSite {
  /** Undefined for this instance when its engine is in its own process. */
  readonly endpoint: Endpoint | undefined;
  /** Cold; unsubscribing aborts the leg. */
  run(leg: InferenceRequest): Observable<ResponsePart>;
}
