import { InferenceError } from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import type { StreamEndReason } from '../observer.js';
import { ClientStalledError } from './response-body.js';

/** Why an answer that failed with `error` ended. */
export function endReason(error: unknown): StreamEndReason {
  if (error instanceof ClientStalledError) return 'client_stalled';
  if (error instanceof RemoteUnavailableError) return 'upstream_error';
  if (!(error instanceof InferenceError)) return 'server_error';
  const told = REASONS.get(error.code);
  if (told !== undefined) return told;
  if (error.status < 500) return 'client_error';
  return error.status === 502 || error.status === 504 ? 'upstream_error' : 'server_error';
}

/** Errors whose code says it better than their status. */
const REASONS: ReadonlyMap<string | null, StreamEndReason> = new Map<string, StreamEndReason>([
  ['shutting_down', 'drain'],
  ['request_aborted', 'aborted'],
  ['upstream_error_event', 'upstream_error_event'],
  ['upstream_aborted', 'upstream_aborted'],
  ['upstream_incomplete', 'upstream_incomplete'],
  ['upstream_truncated', 'upstream_truncated'],
]);
