import type { RequestRecord } from '../http/request-record.js';
import type { Sampling } from './sampling.js';

/** What is to be run. */
export interface RunJob {
  /** The id that the client gets; an abort call names it. */
  readonly id: string;
  readonly promptIds: readonly number[];
  readonly sampling: Sampling;
  readonly rank: number;
  readonly record: RequestRecord;
  /** Aborts when the client has left. */
  readonly gone: AbortSignal;
  /** The request is in the queue: servers begin their streams here, before there is a token. */
  onAccepted?(): void;
}

/** How a run ended. `failed`: an error went to the client, or nobody was there. */
export type RunEnd = 'length' | 'stop' | 'abort' | 'failed';

/** What a KV transfer sees of a run. */
export interface Running {
  readonly job: RunJob;
  /** The id inside of the engine, under which the ledger has its blocks. */
  readonly legId: string;
  readonly promptTokens: number;
  /** Aborts when nobody waits for the answer any more, or an abort call ended it. */
  readonly signal: AbortSignal;
  /** The first tokens of choice 0, as many as a prefill may hand over. */
  readonly firstTokens: readonly number[];
  /** Keeps the blocks after the run, for a lease if one is given; its end frees them as `expiredReason`. */
  keep(leaseMs?: number, expiredReason?: string): void;
}
