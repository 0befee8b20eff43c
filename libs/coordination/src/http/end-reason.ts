import { InferenceError } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import type { StreamEndReason } from '../observer.js';
import { OverloadedError } from './admission.js';
import { ClientStalledError } from './response-body.js';

/** Why an answer that failed with `error` ended. */
export function endReason(error: unknown): StreamEndReason {
  if (error instanceof ClientStalledError) return 'client_stalled';
  if (error instanceof OverloadedError) return 'rejected';
  if (error instanceof RemoteUnavailableError) return LATE[error.timer ?? ''] ?? 'upstream_error';
  if (!(error instanceof InferenceError)) return 'server_error';
  const told = REASONS.get(error.code);
  if (told !== undefined) return told;
  if (error.status < 500) return 'client_error';
  return error.status === 502 || error.status === 504 ? 'upstream_error' : 'server_error';
}

/** What took an upstream too long. */
const LATE: Readonly<Record<string, StreamEndReason | undefined>> = {
  first_token: 'timeout_first_token',
  between_tokens: 'timeout_between_tokens',
};

/** Errors whose code says it better than their status. */
const REASONS: ReadonlyMap<string | null, StreamEndReason> = new Map<string, StreamEndReason>([
  ['shutting_down', 'drain'],
  ['drain_timeout', 'drain'],
  ['request_aborted', 'aborted'],
  ['deadline_exceeded', 'deadline'],
  ['upstream_error_event', 'upstream_error_event'],
  ['upstream_aborted', 'upstream_aborted'],
  ['upstream_incomplete', 'upstream_incomplete'],
  ['upstream_truncated', 'upstream_truncated'],
]);

/**
 * The failure to tell an operator of: one that is the server's, or whatever ended an answer of which the client has seen a
 * part. Undefined for what somebody here asked for (an abort, a drain), for what was not admitted, and for errors that the
 * application handles.
 */
export function failureToTell(
  error: unknown,
  { isMidStream }: { readonly isMidStream: boolean },
): InferenceError | undefined {
  const reason = endReason(error);
  if (reason === 'aborted' || reason === 'drain' || reason === 'rejected') return undefined;
  if (isMidStream) return InferenceError.from(error);
  return error instanceof InferenceError && error.status >= 500 ? error : undefined;
}
