import { InferenceError } from '@baton/inference';
import { ConnectorMismatchError, RemoteUnavailableError } from '@baton/remotes';

/** Whether this instance may answer instead. A mismatch of protocols is a mistake in the configuration: hidden by a fallback, nobody would mend it. */
export function isRecoverable(error: unknown): error is InferenceError {
  return error instanceof InferenceError && !(error instanceof ConnectorMismatchError);
}

/** Why this instance answers instead, as a label of the metric. */
export function fallbackReason(error: InferenceError): string {
  if (error instanceof RemoteUnavailableError) return error.reason;
  return error.status < 500 ? 'refused' : 'bad_answer';
}
