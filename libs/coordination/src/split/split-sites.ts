import type { InferenceRequest, ResponsePart } from '@baton/inference';
import type { LegSite, PickOptions } from '@baton/remotes';
import type { Observable } from 'rxjs';

/** Where a leg can run: the instances of a pool, or this instance. */
export interface SiteSource {
  /** What it is called where it is written down how a request was run. */
  readonly name?: string;
  /** A resource: one site, held until unsubscribed. Chosen on subscription. */
  pick(request: InferenceRequest, options?: PickOptions): Observable<LegSite>;
}

/** What a manager decides: where the legs of a request run. */
export interface SplitSites {
  readonly prefill: SiteSource;
  readonly decode: SiteSource;
  /**
   * Composes the prefill of attempts: each subscription to `attempt` is one, on a site that no other attempt of the request
   * holds (`no_endpoint` when there is none), with a leg id of its own. The first answer that the result emits is used.
   * Unsubscribing an attempt closes it, or frees what it leaves behind when it answers all the same; so does dropping its
   * answer. Default: one attempt.
   *
   * Asked only where nothing but P's own answer leads to its KV: for serial protocols in which D is chosen afterwards. With
   * others there is one attempt: P and D wait for each other, or P writes into the memory of the D that it was told.
   */
  readonly prefillWith?: <T>(attempt: Observable<T>) => Observable<T>;
  /** Answers the whole request when no prefill leg could be run. Left out: the request fails. */
  readonly withoutPrefill?: (request: InferenceRequest) => Observable<ResponsePart>;
  /** Finishes the request when no decode leg has answered. Left out: the request fails. */
  readonly withoutDecode?: (leg: InferenceRequest) => Observable<ResponsePart>;
}
