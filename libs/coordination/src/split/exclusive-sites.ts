import type { InferenceRequest } from '@baton/inference';
import { RemoteUnavailableError, type Endpoint, type LegSite, type PickOptions } from '@baton/remotes';
import { catchError, defer, Observable, tap, throwError } from 'rxjs';
import type { SiteSource } from './split-sites.js';

/** The sites of a source, each held by one at a time of those that pick here. */
export class ExclusiveSites implements SiteSource {
  readonly name: string | undefined;
  /** Undefined is the engine in this process. */
  readonly #held = new Set<Endpoint | undefined>();

  constructor(private readonly source: SiteSource) {
    this.name = source.name;
  }

  /** As the source does, but no site that another pick holds: `no_endpoint` when there is no other. */
  pick(request: InferenceRequest, options: PickOptions = {}): Observable<LegSite> {
    return defer(() => {
      const held = [...this.#held].filter((endpoint) => endpoint !== undefined);
      const except = new Set([...(options.except ?? []), ...held]);
      return this.#take(request, except.size === 0 ? options : { ...options, except }).pipe(
        catchError((error: unknown) =>
          error instanceof TakenMeanwhile ? this.pick(request, options) : throwError(() => error),
        ),
      );
    });
  }

  #take(request: InferenceRequest, options: PickOptions): Observable<LegSite> {
    return new Observable((subscriber) => {
      let own: LegSite | undefined;
      const giveBack = (): void => {
        if (own !== undefined) this.#held.delete(own.endpoint);
        own = undefined;
      };
      // First of the teardowns: whoever waits for it is told in that of the source.
      subscriber.add(giveBack);
      return this.source.pick(request, options).subscribe({
        next: (site) => {
          const { endpoint } = site;
          if (this.#held.has(endpoint)) return subscriber.error(takenError(endpoint, options));
          own = site;
          this.#held.add(endpoint);
          // Who is told of the error may pick again at once.
          subscriber.next({ endpoint, run: (leg) => site.run(leg).pipe(tap({ error: giveBack })) });
        },
        error: (error: unknown) => subscriber.error(error),
        complete: () => subscriber.complete(),
      });
    });
  }
}

/** Two have waited for the same site. Asked again, the source knows of it; one that knew has no other. */
function takenError(endpoint: Endpoint | undefined, { except }: PickOptions): Error {
  const isKnown = endpoint === undefined || except?.has(endpoint) === true;
  return isKnown ? new RemoteUnavailableError('none', 'no_endpoint') : new TakenMeanwhile();
}

class TakenMeanwhile extends Error {
  override readonly name = 'TakenMeanwhile';
}
