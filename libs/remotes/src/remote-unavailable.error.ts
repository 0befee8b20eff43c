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
    /** The HTTP status that the remote answered with, if it did. */
    readonly upstreamStatus?: number,
  ) {
    const status = reason === 'timeout' ? 504 : reason === 'busy' || reason === 'no_endpoint' ? 503 : 502;
    super(MESSAGES[reason], { status, code: `remote_${reason}`, type: 'server_error', cause });
  }

  /**
   * Whether another instance may be asked at once: for sure nothing was computed. A 500 comes from the engine itself,
   * after work that may have been done; a 429 asks for less, not for the same elsewhere.
   */
  get isRetryable(): boolean {
    if (this.upstreamStatus === undefined) return this.reason === 'connect';
    return RETRYABLE_STATUSES.has(this.upstreamStatus);
  }
}

/** What a gateway says of an engine that it did not reach, and an engine of a queue that is full. */
const RETRYABLE_STATUSES = new Set([502, 503, 504]);

const MESSAGES: Readonly<Record<UnavailableReason, string>> = {
  no_endpoint: 'No remote instance is configured for this leg.',
  connect: 'The remote instance could not be reached.',
  reset: 'The connection to the remote instance was lost.',
  timeout: 'The remote instance did not answer in time.',
  busy: 'The remote instance is busy.',
  failed: 'The remote instance failed.',
};
