import type { ServerResponse } from 'node:http';
import { Observable } from 'rxjs';

/**
 * Emits when the client has gone before its answer was complete; stays silent otherwise.
 *
 * The one trustworthy sign on Fastify 5 is the response's own `close` without `writableFinished`: for a POST with
 * a body, `request.signal` and the request's `close` fire when the body was read.
 */
export function clientGone(response: ServerResponse): Observable<void> {
  return new Observable((subscriber) => {
    const onClose = (): void => {
      if (!response.writableFinished) subscriber.next();
    };
    if (response.destroyed) onClose();
    else response.once('close', onClose);
    return () => response.off('close', onClose);
  });
}
