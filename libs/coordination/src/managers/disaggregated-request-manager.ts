import type { InferenceRequest, ResponsePart } from '@baton/inference';
import type { Observable } from 'rxjs';

/**
 * Runs a leg on this instance: the controller's own handler, with the leg's body in place of the client's.
 * Cold; subscribing starts it, unsubscribing aborts it. The legs of one request run here one after the other: a leg
 * that is subscribed before the handler has answered the last one fails.
 */
export type LocalExecution = (leg: InferenceRequest) => Observable<ResponsePart>;

/** A way of splitting requests between this instance and others. */
export interface DisaggregatedRequestManager {
  /**
   * The response to `request`, or undefined to decline it, so that the next manager is asked.
   *
   * Must return at once and start no work before it is subscribed to. Whatever it holds for the request is given
   * back in teardown: unsubscribing is how the client's leaving reaches it. Must not edit `request`.
   */
  dispatch(request: InferenceRequest, local: LocalExecution): Observable<ResponsePart> | undefined;
}
