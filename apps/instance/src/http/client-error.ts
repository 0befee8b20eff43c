import { newId } from '@baton/inference';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { errorBody } from './error-answer.js';
import { MANAGER_HEADER, REQUEST_ID_HEADER } from './stamp-response.js';

/** For the answer to be read: a socket that is destroyed at once, with unread bytes in it, is reset. */
const LINGER_MS = 500;

/**
 * Answers what Node's HTTP parser refuses, before there is a request: broken or too large headers, and requests
 * that do not arrive in time. Has the shape of all other errors.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, message, code } = describe(error.code);
  const body = JSON.stringify(errorBody(status, message, code));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `${REQUEST_ID_HEADER}: ${newId()}`,
    `${MANAGER_HEADER}: local`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  // A client that goes on sending, or never closes, would keep it.
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(linger));
}

function describe(code: string | undefined): { status: number; message: string; code: string } {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, message: 'The request did not arrive in time.', code: 'request_timeout' };
    case 'HPE_HEADER_OVERFLOW':
      return { status: 431, message: 'The request headers are too large.', code: 'headers_too_large' };
    default:
      return { status: 400, message: 'The request is not valid HTTP.', code: 'invalid_http' };
  }
}
