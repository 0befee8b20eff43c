import type { ServerResponse } from 'node:http';

/**
 * Calls `done` once, when what was given to `response` has been sent (true), or when its client has gone or has taken
 * nothing for `stallTimeoutMs` (false). Until then the answer holds memory and a socket, so it is not over.
 */
export function onSent(response: ServerResponse, stallTimeoutMs: number, done: (isSent: boolean) => void): void {
  if (response.writableFinished || response.destroyed) return done(response.writableFinished);
  const { socket } = response.req;
  // Node counts what the kernel takes of a large write as activity of the socket.
  response.setTimeout(stallTimeoutMs, () => response.destroy());
  let isSent = false;
  // Node says `finish` too when a socket is destroyed with the answer still in it.
  response.once('finish', () => (isSent = !socket.destroyed));
  response.once('close', () => {
    // With another response waiting on the connection, Node leaves the timeout as it is.
    if (socket.timeout === stallTimeoutMs) socket.setTimeout(0);
    done(isSent);
  });
}
