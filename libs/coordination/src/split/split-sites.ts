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
  /** Answers the whole request when no prefill leg could be run. Left out: the request fails. */
  readonly withoutPrefill?: (request: InferenceRequest) => Observable<ResponsePart>;
  /** Finishes the request when no decode leg has answered. Left out: the request fails. */
  readonly withoutDecode?: (leg: InferenceRequest) => Observable<ResponsePart>;
}
