import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { fromEvent, Observable, share } from 'rxjs';

/**
 * Emits when the client has gone before its answer was complete; stays silent otherwise.
 *
 * The one trustworthy sign on Fastify 5 is the response's own `close` without `writableFinished`: for a POST with
 * a body, `request.signal` and the request's `close` fire when the body was read. A response that waits behind
 * another one on its connection (HTTP/1.1 pipelining) has no socket yet and may never say `close`: the connection does.
 */
export function clientGone(response: ServerResponse): Observable<void> {
  return new Observable((subscriber) => {
    const onClose = (): void => {
      if (!response.writableFinished) subscriber.next();
    };
    if (response.destroyed || response.req.socket.destroyed) return onClose();
    if (response.socket === null) return connectionClosed(response.req.socket).subscribe(onClose);
    response.once('close', onClose);
    return () => response.off('close', onClose);
  });
}

/** One listener per connection, however many requests wait on it: the client chooses how many that are. */
function connectionClosed(socket: Socket): Observable<unknown> {
  const known = closings.get(socket);
  if (known !== undefined) return known;
  const closed = fromEvent(socket, 'close').pipe(share());
  closings.set(socket, closed);
  return closed;
}

const closings = new WeakMap<Socket, Observable<unknown>>();
