import {
  legId,
  renameId,
  type InferenceRequest,
  type JsonObject,
  type PrefillShare,
  type ResponsePart,
} from '@baton/inference';
import type { LegSite, RetryBudget } from '@baton/remotes';
import { concat, defer, EMPTY, of, type Observable } from 'rxjs';
import type { Phase } from '../connectors/cancellation.js';
import type { KvConnector, LegSites, ReleaseMeans } from '../connectors/kv-connector.js';
import { sharedAnswer } from '../connectors/prefill-share.js';
import type { HandoffLedger } from '../ledger/handoff-ledger.js';
import type { CoordinationObserver } from '../observer.js';
import type { HandoffAddresses } from '../trust/handoff-addresses.js';
import { inRole } from './in-role.js';
import { onAnotherSite, type RetryRules } from './on-another-site.js';
import type { PrefillPace } from './prefill-pace.js';
import type { SiteSource, SplitSites } from './split-sites.js';

/** What the steps of one split request share. */
export interface SplitContext {
  readonly request: InferenceRequest;
  readonly sites: SplitSites;
  readonly connector: KvConnector;
  readonly ledger: HandoffLedger;
  readonly observer: CoordinationObserver;
  readonly retries: RetryBudget;
  readonly addresses: HandoffAddresses;
  readonly pace: PrefillPace;
  /** What is done with a handoff that is too old to be used. */
  readonly staleHandoff: 'prefill' | 'plain';
  /** Where the request is, for whoever has to tell in which phase its client left. */
  readonly progress: { phase: Phase };
}

/** What the legs agree on before they are sent; nothing for protocols in which P says it all. */
export function agreement({ request, connector }: SplitContext, sites: LegSites): Observable<JsonObject> {
  return connector.rendezvous?.(request, sites) ?? of({});
}

/** What of P's answer belongs in the client's. */
export function shareOf({ request, connector }: SplitContext, answer: JsonObject): PrefillShare {
  return connector.shareOf?.(request, answer) ?? sharedAnswer(request, answer);
}

/** Runs D's leg on `site`, unless what runs there cannot take the handoff. */
export function decodeOn(
  { request, connector }: SplitContext,
  site: LegSite,
  leg: () => InferenceRequest,
): Observable<ResponsePart> {
  return concat(
    connector.assertTakes?.(site) ?? EMPTY,
    defer(() => {
      const made = inRole(leg(), 'decode');
      const parts = site.run(made);
      // An id that a protocol made of addresses (P2pNccl) is the instances' own affair.
      return made.id.startsWith(request.key) ? parts : parts.pipe(renameId(made.id, legId(request.key)));
    }),
  );
}

/** How a leg is tried again elsewhere, within the budget. */
export function retryRules(
  { retries, observer, request }: Pick<SplitContext, 'retries' | 'observer' | 'request'>,
  leg: 'prefill' | 'decode',
  isRetryable: RetryRules['isRetryable'],
): RetryRules {
  return {
    budget: retries,
    isRetryable,
    onRetry: (error) => {
      observer.retried(leg, error.reason);
      observer.failed(request, error);
    },
  };
}

/** What a release may use, after the client has gone. */
export function releaseMeans(context: SplitContext, prefill?: LegSite): ReleaseMeans {
  const { request, sites } = context;
  // One that was never reached has not taken the KV, which is for one transfer.
  const rules = retryRules(context, 'decode', (error) => error.isUntouched);
  return {
    request,
    ...(prefill === undefined ? {} : { prefill }),
    decode: (leg) =>
      onAnotherSite(urgent(sites.decode), leg, rules, (site) =>
        site.run(inRole(leg, 'release', { id: legId(leg.key) })),
      ),
  };
}

/** Where every instance is busy, KV that is held for nobody is what must not wait. */
const urgent = (source: SiteSource): SiteSource => ({
  pick: (request, options) => source.pick(request, { ...options, isUrgent: true }),
});
