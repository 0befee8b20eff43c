import { InferenceError } from '@baton/inference';
import { TimeoutError } from 'rxjs';

/** Somebody else was first. */
export function versionMismatch(expected: number, present: number): InferenceError {
  return new InferenceError(
    `The policies are at version ${present}, not at ${expected}. Read them again before you change them.`,
    { status: 412, type: 'invalid_request_error', code: 'policy_version_mismatch' },
  );
}

/** A version that never was, or is not kept any more. */
export function unknownVersion(version: number): InferenceError {
  return new InferenceError(`There is no version ${version} of the policies, or it is not kept any more.`, {
    status: 404,
    code: 'unknown_policy_version',
    param: 'version',
  });
}

/** Too many changes at once. */
export function policyBusy(): InferenceError {
  return new InferenceError('Too many changes of policies are being made. Nothing was changed.', {
    status: 503,
    code: 'policy_busy',
    retryAfterSeconds: 1,
  });
}

/** More than could be read again. */
export function policiesTooLarge(bytes: number, maxBytes: number): InferenceError {
  return new InferenceError(
    `The policies would have ${bytes} bytes, and ${maxBytes} can be kept. Nothing was changed; shorten their lists.`,
    { status: 413, type: 'invalid_request_error', code: 'policies_too_large', param: 'managers' },
  );
}

/** The policies cannot be read or kept. */
export function policyStateUnavailable(cause: unknown): InferenceError {
  const why = cause instanceof Error ? ` ${cause.message}` : '';
  const outcome =
    cause instanceof TimeoutError
      ? 'The policies could not be kept in time, and may have changed. Read them again.'
      : `The policies cannot be kept, so they stay as they are.${why}`;
  return new InferenceError(outcome, {
    status: 503,
    code: 'policy_state_unavailable',
    cause,
  });
}
