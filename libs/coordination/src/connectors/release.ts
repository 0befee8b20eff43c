import { FlowValve, type InferenceRequest } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import { catchError, defaultIfEmpty, map, of, take, type Observable } from 'rxjs';
import type { ReleaseMeans, ReleaseOutcome } from './kv-connector.js';
import { prefillBody } from './leg-edits.js';

/**
 * Frees the KV of a prefill that has finished, which no engine does on request: an abort that reaches P after it has
 * finished is ignored on purpose (vLLM #25067), only a D that takes the KV frees it. So `leg`, the decode leg that was not
 * sent, is sent for one token and left at the first part of its answer (Dynamo's rule: dynamo #13855, #12736).
 */
export function decodeAndCancel(leg: InferenceRequest, means: ReleaseMeans): Observable<ReleaseOutcome> {
  const body = prefillBody(leg.api, leg.body);
  // A valve of its own: that of the request may be closed for good, since its client has gone. The client's deadline is not
  // for the KV.
  return means.decode({ ...leg, body, stream: false, valve: new FlowValve(), deadlineMs: undefined }).pipe(
    take(1),
    map((): ReleaseOutcome => 'freed'),
    defaultIfEmpty<ReleaseOutcome, ReleaseOutcome>('unknown'),
    // Never reached: no D has it, and P keeps it.
    catchError((error: unknown) => of<ReleaseOutcome>(isUnreached(error) ? 'held' : 'unknown')),
  );
}

function isUnreached(error: unknown): boolean {
  return error instanceof RemoteUnavailableError && ['no_endpoint', 'connect', 'busy'].includes(error.reason);
}
