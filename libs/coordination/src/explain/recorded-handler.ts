import type { InferenceRequest } from '@baton/inference';
import type { CallHandler } from '@nestjs/common';
import { defer, mergeMap, of, tap, type Observable } from 'rxjs';
import { endReason } from '../http/end-reason.js';
import { InferenceAnswer } from '../http/inference-answer.js';
import { failureName } from './failure-name.js';
import type { RequestRecording } from './request-recording.js';
import { HERE, toldTo } from './traced-leg.js';

/**
 * What the handler gives for a request that no manager took, written down as a leg on this instance. It is passed on as it
 * comes, but for an {@link InferenceAnswer}, which goes through `render`.
 */
export function recordedHandler(
  next: CallHandler,
  request: InferenceRequest,
  recording: RequestRecording,
  render: (answer: InferenceAnswer) => Observable<unknown>,
): Observable<unknown> {
  return defer(() => {
    const leg = recording.leg({ id: request.id, endpoint: HERE, request });
    return next.handle().pipe(
      mergeMap((value: unknown) => {
        if (value instanceof InferenceAnswer) {
          // The renderer says when it is over. Its request may be one that the application has made itself.
          return render(new InferenceAnswer(toldTo(leg, value.parts), { ...value.request, trace: recording }));
        }
        // Nobody says when it has been sent.
        leg.ended('complete');
        recording.over('complete');
        return of(value);
      }),
      tap({
        error: (error: unknown) => {
          leg.ended('failed', failureName(error));
          recording.over(endReason(error));
        },
        unsubscribe: () => {
          leg.ended('left');
          recording.over('client_gone');
        },
      }),
    );
  });
}
