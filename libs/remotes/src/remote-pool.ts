import type { InferenceRequest } from '@baton/inference';
import { defer, map, throwError, type Observable } from 'rxjs';
import type { DialectName } from './dialects/dialect.js';
import { parseEndpoint, type Endpoint, type EndpointOptions } from './endpoint.js';
import type { RemoteClient } from './http/remote-client.js';
import type { LegSite } from './leg-site.js';
import type { EndpointPicker } from './pickers/endpoint-picker.js';
import { RemoteUnavailableError } from './remote-unavailable.error.js';

/** What a pick must keep to. */
export interface PickOptions {
  /** Not these: they have just failed, or are taken by the other leg. */
  readonly except?: ReadonlySet<Endpoint>;
}

/** The remote instances of one role, and who chooses among them. */
export class RemotePool {
  constructor(
    readonly endpoints: readonly Endpoint[],
    private readonly client: RemoteClient,
    /** Asked at each pick: the picker may be registered after the pool was made. */
    private readonly picker: () => EndpointPicker,
  ) {}

  get isEmpty(): boolean {
    return this.endpoints.length === 0;
  }

  /** A resource: the remote for `request`, held until unsubscribed. The choice is made on subscription, not before. */
  pick(request: InferenceRequest, { except }: PickOptions = {}): Observable<LegSite> {
    return defer(() => this.#pickFrom(request, except)).pipe(
      map((endpoint) => ({ endpoint, run: (leg: InferenceRequest) => this.client.run(endpoint, leg) })),
    );
  }

  #pickFrom(request: InferenceRequest, except: ReadonlySet<Endpoint> | undefined): Observable<Endpoint> {
    const allowed = except?.size ? this.endpoints.filter((endpoint) => !except.has(endpoint)) : this.endpoints;
    if (allowed.length === 0) return throwError(() => new RemoteUnavailableError('none', 'no_endpoint'));
    return this.picker().pick(request, allowed);
  }
}

/**
 * Reads the endpoints of a pool. Those that name no dialect speak the pool's.
 *
 * @throws Error naming the endpoint that cannot be read.
 */
export function poolEndpoints(options: readonly EndpointOptions[], dialect?: DialectName): readonly Endpoint[] {
  return options
    .map((each) => (typeof each === 'string' ? { url: each } : each))
    .map((each) => parseEndpoint({ ...each, dialect: each.dialect ?? dialect }));
}
