import { whileHeld, type InferenceRequest } from '@baton/inference';
import { RemoteUnavailableError, type Endpoint, type LegSite, type RetryBudget } from '@baton/remotes';
import { catchError, defer, delay, of, switchMap, type Observable } from 'rxjs';
import type { SiteSource } from './split-sites.js';

/** What decides whether something is tried once more. */
export interface RetryRules {
  readonly budget: RetryBudget;
  /** Whether nothing was computed, so that another try cannot do the work twice. */
  isRetryable(error: RemoteUnavailableError): boolean;
  /** Told of each retry. */
  onRetry(error: RemoteUnavailableError): void;
}

const MAX_TRIES = 3;
/** Where there is no other site, the same one gets time to recover: half of it to one and a half, so that waves do not meet. */
const SAME_SITE_DELAY_MS = 100;

/**
 * Runs `use` on a site of `source`, and on another one when the first could not even begin. When there is no other,
 * the same is asked again a little later.
 */
export function onAnotherSite<T>(
  source: SiteSource,
  request: InferenceRequest,
  rules: RetryRules,
  use: (site: LegSite) => Observable<T>,
): Observable<T> {
  const attempt = (tried: number, except: ReadonlySet<Endpoint>): Observable<T> =>
    defer(() => {
      let endpoint: Endpoint | undefined;
      return pickAnother(source, request, except).pipe(
        whileHeld((site) => {
          endpoint = site.endpoint;
          return use(site);
        }),
        catchError((error: unknown) => {
          const mayRetry =
            error instanceof RemoteUnavailableError &&
            // Not the other leg's failure, which `use` may pass on as well.
            error.endpoint === endpoint?.name &&
            tried < MAX_TRIES &&
            rules.isRetryable(error) &&
            rules.budget.take();
          if (!mayRetry) throw error;
          rules.onRetry(error);
          return attempt(tried + 1, endpoint === undefined ? except : new Set([...except, endpoint]));
        }),
      );
    });
  return attempt(1, new Set());
}

function pickAnother(
  source: SiteSource,
  request: InferenceRequest,
  except: ReadonlySet<Endpoint>,
): Observable<LegSite> {
  if (except.size === 0) return source.pick(request);
  return source.pick(request, { except }).pipe(
    catchError((error: unknown) => {
      if (!(error instanceof RemoteUnavailableError) || error.reason !== 'no_endpoint') throw error;
      return of(undefined).pipe(
        delay(SAME_SITE_DELAY_MS * (0.5 + Math.random())),
        switchMap(() => source.pick(request)),
      );
    }),
  );
}
