import type { StreamEndReason } from '@baton/coordination';

const BUCKET_MS = 10_000;
const BUCKETS = 6;

/** How many answers ended lately, as far as that says whether a request can be finished here. */
export interface EndCounts {
  readonly finished: number;
  /** Because of an engine or another instance. */
  readonly failed: number;
}

/**
 * How requests have ended within the last minute. Those that a client, an operator or this instance ended itself say nothing
 * of whether a request can be finished.
 */
export class RecentEnds {
  readonly #buckets: { since: number; finished: number; failed: number }[] = [];

  /** @param now milliseconds that never go back. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  record(reason: StreamEndReason): void {
    const isFinished = reason === 'complete';
    if (!isFinished && !UPSTREAM.has(reason)) return;
    const bucket = this.#current();
    if (isFinished) bucket.finished += 1;
    else bucket.failed += 1;
  }

  /** What was recorded within the last 50 to 60 s. */
  get counts(): EndCounts {
    this.#dropOld();
    return {
      finished: this.#buckets.reduce((sum, { finished }) => sum + finished, 0),
      failed: this.#buckets.reduce((sum, { failed }) => sum + failed, 0),
    };
  }

  /** What came before is explained by something else. */
  forget(): void {
    this.#buckets.length = 0;
  }

  #current(): { finished: number; failed: number } {
    const since = this.now() - (this.now() % BUCKET_MS);
    const last = this.#buckets.at(-1);
    if (last?.since === since) return last;
    const fresh = { since, finished: 0, failed: 0 };
    this.#buckets.push(fresh);
    this.#dropOld();
    return fresh;
  }

  #dropOld(): void {
    const oldest = this.now() - BUCKET_MS * BUCKETS;
    while ((this.#buckets[0]?.since ?? Infinity) <= oldest) this.#buckets.shift();
  }
}

const UPSTREAM: ReadonlySet<StreamEndReason> = new Set<StreamEndReason>([
  'upstream_error',
  'upstream_error_event',
  'upstream_aborted',
  'upstream_incomplete',
  'upstream_truncated',
  'timeout_first_token',
  'timeout_between_tokens',
]);
