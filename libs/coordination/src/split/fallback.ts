import { InferenceError } from '@baton/inference';
import { ConnectorMismatchError, RemoteUnavailableError } from '@baton/remotes';

/** Whether this instance may answer instead. A mismatch of protocols is a mistake in the configuration: hidden by a fallback, nobody would mend it. */
export function isRecoverable(error: unknown): error is InferenceError {
  return error instanceof InferenceError && !(error instanceof ConnectorMismatchError);
}

/** Whether a prefill was refused for what it asks: the client's to see, not to be tried where it is asked the same. */
export function isRefusal({ status }: InferenceError): boolean {
  return status < 500 || status === 501;
}

/** Why this instance answers instead, as a label of the metric. */
export function fallbackReason(error: InferenceError): string {
  if (error instanceof RemoteUnavailableError) return error.reason;
  return error.status < 500 ? 'refused' : 'bad_answer';
}
