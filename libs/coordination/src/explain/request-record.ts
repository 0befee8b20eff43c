import type { ConsideredEndpoint, InferenceApi, JsonValue, LegRole, Verdict } from '@baton/inference';
import type { CancellationAction, KvOwner, Phase } from '../connectors/cancellation.js';
import type { StreamEndReason } from '../observer.js';

/** A body in which everything that may be of a prompt is replaced by its size. */
export type RedactedBody = Readonly<Record<string, JsonValue>>;

/** A manager that was asked, or passed over. */
export interface AskedManager {
  readonly manager: string;
  readonly verdict: Verdict;
  /** Why, where more is known than the verdict says. */
  readonly detail?: string;
}

/** The endpoints among which the site of one leg was chosen. */
export interface Consideration {
  /** The pool: `prefill` or `decode`. */
  readonly leg: string;
  readonly endpoints: readonly ConsideredEndpoint[];
}

/** Where a leg may run: the name of a pool (`prefill`, `decode`), `local`, or `unknown` for a place that a plugin made. */
export type PlannedSite = string;

/** How a request is to be run, as far as its manager has said it: two legs, one, or it does not say (a plugin's own way). */
export type RequestPlan =
  | {
      readonly kind: 'split';
      readonly connector: string;
      /** Whether D's leg waits for P's answer. */
      readonly order: 'serial' | 'concurrent';
      readonly prefill: PlannedSite;
      readonly decode: PlannedSite;
    }
  | { readonly kind: 'whole'; readonly site: PlannedSite }
  | { readonly kind: 'unknown' };

/** The time that a request has, in ms from its start. */
export interface DeadlineSplit {
  /** For the whole answer. */
  readonly totalMs: number;
  /** Until when the prefill leg has to be done; null when it has no bound of its own. */
  readonly prefillMs: number | null;
}

/** What is done for the KV of a request whose client leaves in one phase. */
export interface CancellationStep {
  readonly phase: Phase;
  readonly owner: KvOwner;
  readonly action: CancellationAction;
  /** The most that the action takes, in ms; null when there is nothing to wait for. */
  readonly boundMs: number | null;
}

/** A leg that was sent. Times are ms since the request's start. */
export interface LegRecord {
  readonly id: string;
  readonly role: LegRole;
  /** `host:port`, or `local`. */
  readonly endpoint: string;
  readonly stream: boolean;
  readonly body: RedactedBody;
  /** When its answer had to be there; null when nobody said. */
  readonly deadlineMs: number | null;
  readonly sentMs: number;
  /** Null while (or since) nothing of its answer came. */
  readonly firstPartMs: number | null;
  /** Null while it runs. */
  readonly endedMs: number | null;
  /** Null while it runs. */
  readonly outcome: 'complete' | 'failed' | 'left' | null;
  readonly reason?: string;
}

/** What was decided for one request, and how its legs went. A picture of the moment in which it was asked for. */
export interface RequestRecord {
  /** The client's id. */
  readonly id: string;
  /** The id that was made here; the ids of its legs begin with it. */
  readonly key: string;
  readonly api: InferenceApi;
  readonly model: string | null;
  readonly stream: boolean;
  /** The label of the caller's key, never the key. */
  readonly caller: string;
  /** Whether somebody else coordinates it. */
  readonly isLeg: boolean;
  /** ISO 8601. */
  readonly startedAt: string;
  /** The snapshot of the policies that it was dispatched on. */
  readonly policyVersion: string;
  /** Who answers: a manager, or `local`; null when the request was refused before. */
  readonly answeredBy: string | null;
  readonly managers: readonly AskedManager[];
  readonly plan: RequestPlan;
  readonly considered: readonly Consideration[];
  readonly legs: readonly LegRecord[];
  readonly deadline: DeadlineSplit | null;
  /** What would be done if its client left; empty when no KV is handed over. */
  readonly cancellation: readonly CancellationStep[];
  /** In which phase its client left, or it was ended; null when that did not happen. */
  readonly leftDuring: string | null;
  /** What became of its handoffs. */
  readonly settlements: readonly { readonly settlement: string; readonly strandedMs: number; readonly atMs: number }[];
  /** Null while it runs. */
  readonly endReason: StreamEndReason | null;
  /** Null while it runs. */
  readonly endedMs: number | null;
  /** What was left out of this record because it is bounded. */
  readonly omitted: number;
}
