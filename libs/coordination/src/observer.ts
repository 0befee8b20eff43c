import type { InferenceApi, InferenceError, InferenceRequest } from '@baton/inference';
import type { AttemptResult } from '@baton/remotes';
import { Injectable } from '@nestjs/common';
import type { Phase } from './connectors/cancellation.js';

/** Why an answer ended. */
export type StreamEndReason =
  | 'complete'
  | 'client_gone'
  | 'client_stalled'
  | 'client_error'
  /** Ended by its id (`abort_requests`). */
  | 'aborted'
  /** Not admitted: too many requests, or too late an event loop. */
  | 'rejected'
  /** The time for the whole answer was over. */
  | 'deadline'
  | 'upstream_error'
  /** An error object came in the middle of an upstream's answer. */
  | 'upstream_error_event'
  /** An upstream ended its answer with `finish_reason: "abort"`. */
  | 'upstream_aborted'
  /** An upstream ended its answer without a finish reason for every choice. */
  | 'upstream_incomplete'
  /** An upstream's stream ended without its end mark. */
  | 'upstream_truncated'
  /** An upstream's first part did not come in time. */
  | 'timeout_first_token'
  /** An upstream fell silent in the middle of its answer. */
  | 'timeout_between_tokens'
  | 'server_error'
  | 'drain';

/**
 * How a handoff ended: `taken` by a decode, `freed`, left to the end of its lease because nothing frees it, or not known.
 */
export type Settlement = 'taken' | 'freed' | 'lease_expired' | 'unknown';

/**
 * Why a request was not admitted: too many were waiting, it waited too long, the instance was too busy to begin anything, or
 * it is shutting down; or its sender may not send it, which is found out before it counts as started.
 */
export type RejectionReason =
  | 'queue_full'
  | 'wait_timeout'
  | 'busy'
  | 'drain'
  | 'missing_api_key'
  | 'invalid_api_key'
  | 'peers_only'
  | 'admin_only';

/**
 * Told what happens to requests; the place to hang metrics on. Replace it by a provider of your own for this
 * token. Methods must not throw and must return at once.
 */
@Injectable()
export class CoordinationObserver {
  /** A request came and counts as in flight, also while it waits to be admitted. */
  started(_api: InferenceApi): void {}
  /** A manager took a request. */
  dispatched(_manager: string): void {}
  /** A request is over, for the client and for this instance; called once for each `started`. */
  ended(_reason: StreamEndReason): void {}
  /** A request was not admitted; nothing was done for it. */
  rejected(_reason: RejectionReason): void {}
  /** This instance answered a request because a leg of it failed elsewhere. */
  fellBack(_reason: string): void {}
  /** A leg was sent once more; `reason` is why the attempt before failed. */
  retried(_leg: 'prefill' | 'decode', _reason: string): void {}
  /** A leg on a remote (`host:port`) has ended. */
  attempted(_remote: string, _result: AttemptResult): void {}
  /** A leg failed, or the whole request did, for a reason that is not the client's. For logs. */
  failed(_request: InferenceRequest, _error: InferenceError): void {}
  /** A prefill handed nothing over, so that the decode ran as a plain request. */
  noHandoff(): void {}
  /** A prefill's first token ended the answer, so that no decode was sent. */
  answeredByPrefill(): void {}
  /** A split answer was left before its end, by its client or because it was ended here (an abort, a drain). */
  clientLeft(_phase: Phase): void {}
  /**
   * A handoff is owed no more.
   *
   * @param _strandedMs how long its KV was held for nobody: from the client's leaving to its end, in ms. Of a lease that is
   *   left to end, up to that end.
   */
  settled(_settlement: Settlement, _strandedMs: number): void {}
  /**
   * What a client left behind is cleaned up: its handoff has its outcome, or the prefill that might still have answered is
   * closed.
   *
   * @param _ms since it left.
   */
  cleanedUp(_ms: number): void {}
  /** The policies could not be read or kept somewhere; what is in force stays so. For logs. */
  policyStateFailed(_error: Error): void {}
  /** Half the lease of a handoff was over before D could be sent, so that it was not used. */
  stale(): void {}
}
