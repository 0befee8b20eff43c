import type { InferenceRequest } from '@baton/inference';
import { NEVER, Observable, startWith, throwError } from 'rxjs';
import type { Endpoint } from '../endpoint.js';
import { RemoteUnavailableError } from '../remote-unavailable.error.js';
import { NamedEndpointPicker, type EndpointPicker } from './endpoint-picker.js';

/** Takes the configured endpoints in turn. */
@NamedEndpointPicker({ name: 'static' })
export class StaticEndpointPicker implements EndpointPicker {
  #turn = 0;

  pick(_request: InferenceRequest, endpoints: readonly Endpoint[]): Observable<Endpoint> {
    const endpoint = endpoints[this.#turn % endpoints.length];
    if (endpoint === undefined) return throwError(() => new RemoteUnavailableError('none', 'no_endpoint'));
    this.#turn = (this.#turn + 1) % endpoints.length;
    return NEVER.pipe(startWith(endpoint));
  }
}
