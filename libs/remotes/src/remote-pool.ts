import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { defer, map, type Observable } from 'rxjs';
import type { Endpoint } from './endpoint.js';
import type { RemoteClient } from './http/remote-client.js';
import type { EndpointPicker } from './pickers/endpoint-picker.js';

/** A remote instance that was picked for a leg. */
export interface Remote {
  readonly endpoint: Endpoint;
  run(leg: InferenceRequest): Observable<ResponsePart>;
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
  pick(request: InferenceRequest): Observable<Remote> {
    return defer(() => this.picker().pick(request, this.endpoints)).pipe(
      map((endpoint) => ({ endpoint, run: (leg: InferenceRequest) => this.client.run(endpoint, leg) })),
    );
  }
}
