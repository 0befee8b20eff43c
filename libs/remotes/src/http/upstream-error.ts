import { InferenceError, parseJson, readErrorBody, upstreamError } from '@baton/inference';
import { errors } from 'undici';
import { RemoteUnavailableError } from '../remote-unavailable.error.js';

/** What a failed connection means. undici's error codes: `docs/docs/api/Errors.md`. */
export function connectionError(endpoint: string, error: unknown): RemoteUnavailableError {
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) {
    return new RemoteUnavailableError(endpoint, 'timeout', error);
  }
  // Not `instanceof Error`: Node's own errors are made outside of the context that this code may run in (Jest).
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  const isConnect = error instanceof errors.ConnectTimeoutError || CONNECT_CODES.has(String(code));
  return new RemoteUnavailableError(endpoint, isConnect ? 'connect' : 'reset', error);
}

const CONNECT_CODES = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']);

/** Statuses that say something about the request itself: the client may see the upstream's own words. */
const CLIENT_FAULTS = new Set([400, 404, 409, 412, 413, 415, 422]);

/** Of what an upstream says to the client, in characters. */
const LONGEST_MESSAGE = 2_048;

/** What an upstream status other than 2xx means. A redirect is never followed. */
export function statusError(endpoint: string, status: number, body: Buffer): InferenceError {
  const text = body.toString('utf8');
  const said = readErrorBody(tryParse(text));
  const cause = new Error(`HTTP ${status} from ${endpoint}: ${(said?.message ?? text).slice(0, 256)}`);
  if (CLIENT_FAULTS.has(status) && said !== undefined)
    return new InferenceError(said.message.slice(0, LONGEST_MESSAGE), { status, ...said, cause });
  if (status === 429 || status === 503) return new RemoteUnavailableError(endpoint, 'busy', cause, status);
  if (status >= 500) return new RemoteUnavailableError(endpoint, 'failed', cause, status);
  return upstreamError('remote_refused', `The remote instance refused the leg (HTTP ${status}).`);
}

function tryParse(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
