import { InferenceError } from '@baton/inference';

/** Why a remote instance could not take a leg. */
export type UnavailableReason = 'no_endpoint' | 'connect' | 'reset' | 'timeout' | 'busy' | 'failed';

/**
 * A remote instance did not do its leg, through no fault of the request: another instance may. Whatever the
 * remote said stays in `cause`; the client learns only the class of the failure.
 */
export class RemoteUnavailableError extends InferenceError {
  constructor(
    /** `host:port` of the endpoint, or of none. */
    readonly endpoint: string,
    readonly reason: UnavailableReason,
    cause?: unknown,
  ) {
    const status = reason === 'timeout' ? 504 : reason === 'busy' || reason === 'no_endpoint' ? 503 : 502;
    super(MESSAGES[reason], { status, code: `remote_${reason}`, type: 'server_error', cause });
  }
}

const MESSAGES: Readonly<Record<UnavailableReason, string>> = {
  no_endpoint: 'No remote instance is configured for this leg.',
  connect: 'The remote instance could not be reached.',
  reset: 'The connection to the remote instance was lost.',
  timeout: 'The remote instance did not answer in time.',
  busy: 'The remote instance is busy.',
  failed: 'The remote instance failed.',
};
