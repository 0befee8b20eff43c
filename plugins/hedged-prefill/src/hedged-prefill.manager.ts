import {
  canSplit,
  DECODE_POOL,
  PLUGIN_OPTIONS,
  PREFILL_POOL,
  RequestManager,
  Split,
  type DisaggregatedRequestManager,
} from '@baton/coordination';
import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { RemotePool } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import { defer, finalize, tap, type Observable } from 'rxjs';
import { HedgeBudget } from './hedge-budget.js';
import { hedge } from './hedge.js';
import { HedgedPrefillOptions } from './hedged-prefill.options.js';
import { PrefillTimes } from './prefill-times.js';

/** A second attempt sooner than this finds out nothing about the first. */
const LEAST_DELAY_MS = 50;

/**
 * Both legs on other instances, as `prefill-remote-decode-remote` has them. A prefill that takes longer than usual is tried
 * on a second instance too: the first answer counts, and the other is closed, or its KV freed. Only when both have failed is
 * there an error.
 */
@RequestManager({ name: 'hedged-prefill', priority: 2, enabled: false })
export class HedgedPrefillManager implements DisaggregatedRequestManager {
  readonly #times: PrefillTimes;
  readonly #budget: HedgeBudget;

  constructor(
    private readonly split: Split,
    @Inject(PREFILL_POOL) private readonly prefillers: RemotePool,
    @Inject(DECODE_POOL) private readonly decoders: RemotePool,
    @Inject(PLUGIN_OPTIONS) private readonly options: HedgedPrefillOptions,
  ) {
    this.#times = new PrefillTimes(options.minSamples);
    this.#budget = new HedgeBudget(options.maxPercent);
  }

  dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    // Without a second one there is nothing to hedge with.
    if (!canSplit(request) || this.prefillers.endpoints.length < 2 || this.decoders.isEmpty) return undefined;
    return this.split.run(request, {
      prefill: this.prefillers,
      decode: this.decoders,
      prefillWith: (attempt) => this.#hedged(attempt),
    });
  }

  #hedged<T>(attempt: Observable<T>): Observable<T> {
    return defer(() => {
      this.#budget.request();
      let isHedged = false;
      const plan = {
        delayMs: this.options.delayMs ?? Math.max(LEAST_DELAY_MS, this.#times.usualMs),
        mayHedge: (): boolean => (isHedged = this.#budget.take()),
      };
      return defer(() => this.#timed(attempt, () => isHedged)).pipe(hedge(plan));
    });
  }

  /** Books how long the first attempt took, or how long it had when the second one was faster. */
  #timed<T>(attempt: Observable<T>, isHedged: () => boolean): Observable<T> {
    if (isHedged()) return attempt;
    const startedAt = performance.now();
    let isOver = false;
    const record = (): void => {
      if (!isOver) this.#times.record(performance.now() - startedAt);
      isOver = true;
    };
    return attempt.pipe(
      tap({ next: record, error: () => (isOver = true) }),
      finalize(() => {
        // Left before it was slow, it says nothing.
        if (isHedged()) record();
      }),
    );
  }
}
