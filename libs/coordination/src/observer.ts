import type { InferenceApi, InferenceError, InferenceRequest } from '@baton/inference';
import { Injectable } from '@nestjs/common';

/** Why an answer ended. */
export type StreamEndReason =
  | 'complete'
  | 'client_gone'
  | 'client_stalled'
  | 'client_error'
  /** Ended by its id (`abort_requests`). */
  | 'aborted'
  | 'upstream_error'
  /** An error object came in the middle of an upstream's answer. */
  | 'upstream_error_event'
  /** An upstream ended its answer with `finish_reason: "abort"`. */
  | 'upstream_aborted'
  /** An upstream ended its answer without a finish reason for every choice. */
  | 'upstream_incomplete'
  /** An upstream's stream ended without its end mark. */
  | 'upstream_truncated'
  | 'server_error'
  | 'drain';

/**
 * Told what happens to requests; the place to hang metrics on. Replace it by a provider of your own for this
 * token. Methods must not throw and must return at once.
 */
@Injectable()
export class CoordinationObserver {
  /** A request was admitted and counts as in flight. */
  started(_api: InferenceApi): void {}
  /** A manager took a request. */
  dispatched(_manager: string): void {}
  /** A request is over, for the client and for this instance; called once for each `started`. */
  ended(_reason: StreamEndReason): void {}
  /** This instance answered a request because a leg of it failed elsewhere. */
  fellBack(_reason: string): void {}
  /** A leg was sent once more; `reason` is why the attempt before failed. */
  retried(_leg: 'prefill' | 'decode', _reason: string): void {}
  /** A leg failed, or the whole request did, for a reason that is not the client's. For logs. */
  failed(_request: InferenceRequest, _error: InferenceError): void {}
  /** A prefill handed nothing over, so that the decode ran as a plain request. */
  noHandoff(): void {}
  /** A prefill's first token ended the answer, so that no decode was sent. */
  answeredByPrefill(): void {}
  /** A handoff is owed no more: `taken` by a decode, `freed`, or `unknown` (its lease ends by itself). */
  settled(_outcome: 'taken' | 'freed' | 'unknown'): void {}
}
