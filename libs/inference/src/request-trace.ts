import type { JsonObject } from './json.js';

/**
 * What came of asking a manager, or why it was not asked: its plugin had too many faults (`switched_off`), its condition does
 * not hold, or the request is not in its share (`canary`). With `shadow_`: it only looks on.
 */
export type Verdict =
  | 'took'
  | 'declined'
  | 'failed'
  | 'switched_off'
  | 'condition'
  | 'canary'
  | 'shadow_took'
  | 'shadow_declined'
  | 'shadow_failed';

/** An endpoint that a leg could have run on. */
export interface ConsideredEndpoint {
  /** `host:port`. */
  readonly name: string;
  /** Why it could not be chosen; undefined when it could. */
  readonly excluded?: string;
}

/** A leg that is sent. */
export interface SentLeg {
  readonly id: string;
  /** `host:port`, or `local`. */
  readonly endpoint: string;
  /** What of an `InferenceRequest` is looked at. */
  readonly request: {
    readonly body: JsonObject;
    readonly stream: boolean;
    /** On the clock of `performance.now()`. */
    readonly deadlineMs: number | undefined;
  };
}

/** Told of what is decided for one client's request and of its legs. Must not throw and must return at once. */
export interface RequestTrace {
  /** A manager was asked, or passed over. */
  asked(manager: string, verdict: Verdict, detail?: string): void;
  /** A site is chosen for a leg of the pool `leg` (`prefill`, `decode`). Told again for each choice. */
  considered(leg: string, endpoints: readonly ConsideredEndpoint[]): void;
  /** A leg is sent to `endpoint` (`host:port`, or `local`). Its body must not be kept. */
  leg(leg: SentLeg): LegTrace;
  /** The same trace for legs of that role; a leg of which nobody says it is `whole`. */
  as?(role: LegRole): RequestTrace;
  /** How it is to be run, for those who know what that is; nothing of it has run. */
  planned?(plan: object): void;
  /** Its client left, or it was ended, in that phase. */
  left?(phase: string): void;
  /** A handoff of it is owed no more. May be told after the request is over. */
  settled?(settlement: string, strandedMs: number): void;
}

/** What a leg is for: the prompt, the tokens, the whole answer, or to free the KV of a handoff. */
export type LegRole = 'prefill' | 'decode' | 'whole' | 'release';

/** Told how one leg goes on. */
export interface LegTrace {
  /** The first part of its answer is there. */
  firstPart(): void;
  /** It is over; `left` when whoever ran it unsubscribed. Further calls mean nothing. */
  ended(outcome: 'complete' | 'failed' | 'left', reason?: string): void;
}
