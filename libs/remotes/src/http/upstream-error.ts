import { answerJson, deadlineExceeded, InferenceError, readErrorBody, upstreamError } from '@baton/inference';
import { errors } from 'undici';
import { NotConnectedError } from '../outbound/not-connected.error.js';
import { RemoteUnavailableError } from '../remote-unavailable.error.js';
import type { LateTimer } from './call-clock.js';

/** What a failed connection means. Nothing was sent when there was none: another instance may be asked. */
export function connectionError(endpoint: string, error: unknown): RemoteUnavailableError {
  const isConnect = error instanceof NotConnectedError;
  const cause = isConnect ? error.cause : error;
  const timer = cause instanceof errors.ConnectTimeoutError ? 'connect' : undefined;
  return new RemoteUnavailableError(endpoint, isConnect ? 'connect' : 'reset', cause, undefined, timer);
}

/** What a part of a call that took too long means. */
export function lateError(endpoint: string, late: LateTimer): RemoteUnavailableError {
  return new RemoteUnavailableError(endpoint, late === 'connect' ? 'connect' : 'timeout', undefined, undefined, late);
}

/** Statuses that say something about the request itself: the client may see the upstream's own words. */
const CLIENT_FAULTS = new Set([400, 404, 409, 412, 413, 415, 422]);

/**
 * Those among them that can only be about the request, whether or not the upstream's words can be read. 412 answers a condition
 * that the request was sent with, and gateways say it in plain text (llm-d's endpoint picker, to `Prefer: if-available`).
 */
const ALWAYS_CLIENT_FAULTS = new Set([400, 409, 412, 413, 422]);

/** Longer bodies of errors are not read. */
const MOST_READ_BYTES = 1024 * 1024;

/** Of what an upstream says to the client, in characters. */
const LONGEST_MESSAGE = 2_048;

/**
 * What an upstream status other than 2xx means. A redirect is never followed. Words that are not in the error shape of the
 * field (a page of a gateway, a stack trace) stay in the cause.
 *
 * @param secret the key that the call was made with: some servers repeat what they were sent.
 */
export function statusError(endpoint: string, status: number, body: Buffer, secret?: string): InferenceError {
  const said = body.length > MOST_READ_BYTES ? undefined : readErrorBody(answerJson(withoutSecret(body, secret)));
  const words = said?.message ?? withoutSecret(body, secret).toString('utf8', 0, 1_024);
  const cause = new Error(`HTTP ${status} from ${endpoint}: ${words.slice(0, 256)}`);
  if (CLIENT_FAULTS.has(status) && said !== undefined) {
    return new InferenceError(said.message.slice(0, LONGEST_MESSAGE), { status, ...said, cause });
  }
  if (ALWAYS_CLIENT_FAULTS.has(status)) {
    const message = `The engine refused the request (HTTP ${status}).`;
    return new InferenceError(message, { status, code: 'remote_refused', cause });
  }
  // What it does not have it will not have the next time, nor elsewhere.
  if (status === 501) {
    return new InferenceError('The engine does not support the request.', { status, code: 'not_supported', cause });
  }
  if (status === 429 || status === 503) {
    return new RemoteUnavailableError(endpoint, 'busy', cause, status, undefined, said?.code);
  }
  // Not the instance's failure: it was told how long the request has.
  if (status === 504 && said?.code === 'deadline_exceeded') return deadlineExceeded();
  if (status >= 500) return new RemoteUnavailableError(endpoint, 'failed', cause, status, undefined, said?.code);
  return upstreamError('remote_refused', `The remote instance refused the leg (HTTP ${status}).`);
}

function withoutSecret(body: Buffer, secret: string | undefined): Buffer {
  if (secret === undefined || !body.includes(secret)) return body;
  return Buffer.from(body.toString().replaceAll(secret, '***'));
}
