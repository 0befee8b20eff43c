import { joinAnswer, legOf, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { RetryBudget } from '@baton/remotes';
import { Inject, Injectable } from '@nestjs/common';
import { defer, tap, type Observable } from 'rxjs';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { NotedPlan, notePlan } from '../explain/noted-plan.js';
import { HandoffLedger } from '../ledger/handoff-ledger.js';
import { CoordinationObserver } from '../observer.js';
import { KvConnectors } from '../registry/kv-connectors.js';
import { HandoffAddresses } from '../trust/handoff-addresses.js';
import { concurrentSplit } from './concurrent-split.js';
import { onAnotherSite } from './on-another-site.js';
import { serialSplit } from './serial-split.js';
import { PrefillPace } from './prefill-pace.js';
import { retryRules, type SplitContext } from './split-context.js';
import type { SiteSource, SplitSites } from './split-sites.js';

/**
 * Runs a request as a prefill leg and a decode leg, as the active connector's contract wants it. Managers say where;
 * this is the one place that knows in which order, what is retried, who owes the KV and how two answers become one.
 */
@Injectable()
export class Split {
  readonly #retries: RetryBudget;
  readonly #pace = new PrefillPace();

  constructor(
    private readonly connectors: KvConnectors,
    private readonly ledger: HandoffLedger,
    private readonly observer: CoordinationObserver,
    private readonly addresses: HandoffAddresses,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
  ) {
    this.#retries = new RetryBudget(options.retryBudget);
  }

  /** How many legs may be sent once more at this moment. */
  get retriesLeft(): number {
    return this.#retries.remaining;
  }

  /** The client's answer when the request is not split: all of it at one site of `source`. Cold. */
  whole(request: InferenceRequest, source: SiteSource): Observable<ResponsePart> {
    notePlan(request, () => NotedPlan.whole(request, source));
    return defer(() => {
      this.#retries.request();
      const context = { request, retries: this.#retries, observer: this.observer };
      const rules = retryRules(context, 'decode', (error) => error.isRetryable);
      return onAnotherSite(source, request, rules, (site) => site.run(legOf(request, request.body))).pipe(
        joinAnswer(request, {}),
      );
    });
  }

  /** The client's answer from two legs. Cold. */
  run(request: InferenceRequest, sites: SplitSites): Observable<ResponsePart> {
    // Of the moment at which the request is dispatched: it may wait, and a plugin be replaced, before it runs.
    const connector = this.connectors.active;
    notePlan(request, () => NotedPlan.split(request, connector, sites));
    return defer(() => {
      this.#retries.request();
      this.#pace.assertInTime(request);
      const progress: SplitContext['progress'] = { phase: 'before_prefill' };
      const context: SplitContext = {
        request,
        progress,
        sites,
        connector,
        ledger: this.ledger,
        observer: this.observer,
        retries: this.#retries,
        addresses: this.addresses,
        pace: this.#pace,
        staleHandoff: this.options.staleHandoff ?? 'prefill',
      };
      const parts = connector.contract.order === 'serial' ? serialSplit(context) : concurrentSplit(context);
      return parts.pipe(
        tap({
          next: () => (progress.phase = 'decoding'),
          unsubscribe: () => {
            this.observer.clientLeft(progress.phase);
            request.trace?.left?.(progress.phase);
          },
        }),
      );
    });
  }
}
