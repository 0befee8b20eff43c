import { InferenceError } from '@baton/inference';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Headers that may be there once: Node takes one of several, and another server may take another one. */
const ONCE = new Set(['host', 'content-length', 'transfer-encoding']);

/** Connections of which nothing more is believed: what seems to be their next request may be the body of the last. */
const doubtful = new WeakSet<Socket>();

/**
 * Whether a server in front of this one has to read the request as this one does. Node refuses most of what could be read in
 * two ways by itself, but not an encoding that it does not know before `chunked`, nor two hosts (RFC 9112, 3.2 and 6.1).
 *
 * @throws InferenceError 400 `invalid_http`, for this request and for all that follow on its connection, which has to be closed.
 */
export function assertOneFraming({ headers, rawHeaders, socket }: IncomingMessage): void {
  if (!doubtful.has(socket) && isChunkedOnly(headers['transfer-encoding']) && !hasRepeated(rawHeaders)) return;
  doubtful.add(socket);
  throw new InferenceError('The request is not valid HTTP.', { status: 400, code: 'invalid_http' });
}

function isChunkedOnly(encoding: string | undefined): boolean {
  return encoding === undefined || /^chunked$/i.test(encoding);
}

/** @param headers names and values in turn. */
function hasRepeated(headers: readonly string[]): boolean {
  const seen = new Set<string>();
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]?.toLowerCase() ?? '';
    if (!ONCE.has(name)) continue;
    if (seen.has(name)) return true;
    seen.add(name);
  }
  return false;
}
