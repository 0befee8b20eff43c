import type { InferenceApi } from '@baton/inference';
import { Injectable } from '@nestjs/common';

/** Why an answer ended. */
export type StreamEndReason =
  'complete' | 'client_gone' | 'client_stalled' | 'client_error' | 'upstream_error' | 'server_error' | 'drain';

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
  /** A request was finished on this instance because no remote could take its decode leg. */
  fellBack(_reason: string): void {}
  /** A handoff is owed no more: `taken` by a decode, `freed`, or `unknown` (its lease ends by itself). */
  settled(_outcome: 'taken' | 'freed' | 'unknown'): void {}
}
