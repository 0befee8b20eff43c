import type { InferenceRequest } from '@baton/inference';
import { NEVER, Observable, startWith, throwError } from 'rxjs';
import type { Endpoint } from '../endpoint.js';
import { RemoteUnavailableError } from '../remote-unavailable.error.js';
import { NamedEndpointPicker, type EndpointPicker } from './endpoint-picker.js';

/** Takes the configured endpoints in turn: the one that was picked longest ago, whatever pools it is asked for. */
@NamedEndpointPicker({ name: 'static' })
export class StaticEndpointPicker implements EndpointPicker {
  readonly #pickedAt = new WeakMap<Endpoint, number>();
  #picks = 0;

  pick(_request: InferenceRequest, endpoints: readonly Endpoint[]): Observable<Endpoint> {
    const [first, ...others] = endpoints;
    if (first === undefined) return throwError(() => new RemoteUnavailableError('none', 'no_endpoint'));
    const endpoint = others.reduce((oldest, other) => (this.#at(other) < this.#at(oldest) ? other : oldest), first);
    this.#picks += 1;
    this.#pickedAt.set(endpoint, this.#picks);
    return NEVER.pipe(startWith(endpoint));
  }

  #at(endpoint: Endpoint): number {
    return this.#pickedAt.get(endpoint) ?? 0;
  }
}
