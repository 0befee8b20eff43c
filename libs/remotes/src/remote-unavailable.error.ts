import { InferenceError } from '@baton/inference';
import type { LateTimer } from './http/call-clock.js';

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
    /** What took too long, if something did. */
    readonly timer?: LateTimer,
    /** The code of the error that the remote answered with, if it said one. */
    readonly upstreamCode?: string,
  ) {
    const status = reason === 'timeout' ? 504 : reason === 'busy' || reason === 'no_endpoint' ? 503 : 502;
    super((timer && LATE_MESSAGES[timer]) ?? MESSAGES[reason], {
      status,
      code: `remote_${reason}`,
      type: 'server_error',
      cause,
      ...(reason === 'busy' ? { retryAfterSeconds: RETRY_AFTER_SECONDS } : {}),
    });
  }

  /**
   * Whether another instance may be asked at once: for sure nothing was computed. A 500 comes from the engine itself,
   * after work that may have been done; a 429 asks for less, not for the same elsewhere.
   */
  get isRetryable(): boolean {
    if (this.upstreamStatus === undefined) return this.reason === 'connect';
    return RETRYABLE_STATUSES.has(this.upstreamStatus);
  }

  /**
   * Whether the remote did not even look at the leg: it was not reached, or it is an instance that is about to stop. All
   * else that a remote says may come after it has taken the KV of a handoff, or freed it.
   */
  get isUntouched(): boolean {
    if (this.upstreamStatus === undefined) return this.reason === 'connect';
    return this.upstreamStatus === 503 && this.upstreamCode === NOT_ACCEPTED_CODE;
  }
}

/** What a gateway says of an engine that it did not reach, and an engine of a queue that is full. */
const RETRYABLE_STATUSES = new Set([502, 503, 504]);

/** What an instance says to requests that come while it is stopping, and to no others. */
const NOT_ACCEPTED_CODE = 'shutting_down';

/** Balancers take it as a reason to try another instance. */
const RETRY_AFTER_SECONDS = 1;

const LATE_MESSAGES: Readonly<Partial<Record<LateTimer, string>>> = {
  first_token: 'The remote instance did not send its first token in time.',
  between_tokens: 'The remote instance stopped sending tokens.',
  total: 'The remote instance did not finish its answer in time.',
};

const MESSAGES: Readonly<Record<UnavailableReason, string>> = {
  no_endpoint: 'No remote instance is configured for this leg.',
  connect: 'The remote instance could not be reached.',
  reset: 'The connection to the remote instance was lost.',
  timeout: 'The remote instance did not answer in time.',
  busy: 'The remote instance is busy.',
  failed: 'The remote instance failed.',
};
