import type { Socket } from 'node:net';
import { errors } from 'undici';

/** Errors of connections that had carried an answer before. */
const afterAnAnswer = new WeakSet<Error>();

/** Remembers of `socket`'s failure whether it had carried an answer before. To be called before anybody else listens. */
export function watchForReuse(socket: Socket): void {
  socket.on('error', (error) => {
    if (socket.bytesRead > 0) afterAnAnswer.add(error);
  });
}

/**
 * Whether a call failed on a connection that had been idle: its server may have closed it in the very moment in which it was
 * used again, so that it never saw the request.
 */
export function wasUsedBefore(error: unknown): boolean {
  if (error instanceof errors.SocketError) return (error.socket?.bytesRead ?? 0) > 0;
  return typeof error === 'object' && error !== null && afterAnAnswer.has(error as Error);
}
