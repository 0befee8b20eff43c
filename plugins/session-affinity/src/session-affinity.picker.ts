import { PLUGIN_OPTIONS } from '@baton/coordination';
import type { InferenceRequest } from '@baton/inference';
import { NamedEndpointPicker, RemoteUnavailableError, type Endpoint, type EndpointPicker } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import { defer, finalize, NEVER, startWith, type Observable } from 'rxjs';
import { HeldLegs } from './held-legs.js';
import { weightOf } from './rendezvous.js';
import { SessionAffinityOptions } from './session-affinity.options.js';
import { sessionKey, type Digest } from './session-key.js';

/**
 * Gives the requests of a session the same endpoint for as long as it is there and has no more than its bounded share of the
 * load, so that the KV of what was said before is in its prefix cache. Requests without a session go where least is held.
 */
@NamedEndpointPicker({ name: 'session-affinity' })
export class SessionAffinityPicker implements EndpointPicker {
  readonly #held = new HeldLegs();
  /** When each endpoint was picked for no session, so that idle ones take turns. */
  readonly #turns = new WeakMap<Endpoint, number>();
  #turn = 0;

  constructor(@Inject(PLUGIN_OPTIONS) private readonly options: SessionAffinityOptions) {}

  pick(request: InferenceRequest, endpoints: readonly Endpoint[]): Observable<Endpoint> {
    return defer(() => {
      const key = sessionKey(request, this.options);
      const endpoint = key === undefined ? this.#leastHeld(endpoints) : this.#home(key, endpoints);
      if (endpoint === undefined) throw new RemoteUnavailableError('none', 'no_endpoint');
      this.#held.take(endpoint);
      return NEVER.pipe(
        startWith(endpoint),
        finalize(() => this.#held.giveBack(endpoint)),
      );
    });
  }

  /** The first in the order of the session that may hold one more. */
  #home(key: Digest, endpoints: readonly Endpoint[]): Endpoint | undefined {
    const bound = this.#held.bound(endpoints, this.options.loadFactor);
    const withRoom = endpoints.filter((endpoint) => this.#held.of(endpoint) < bound);
    return best(withRoom, (one, other) => weightOf(key, one) - weightOf(key, other));
  }

  #leastHeld(endpoints: readonly Endpoint[]): Endpoint | undefined {
    const turnOf = (endpoint: Endpoint): number => this.#turns.get(endpoint) ?? 0;
    const least = best(
      endpoints,
      (one, other) => this.#held.of(other) - this.#held.of(one) || turnOf(other) - turnOf(one),
    );
    if (least !== undefined) this.#turns.set(least, (this.#turn += 1));
    return least;
  }
}

/** The endpoint that is above all others; the first of equal ones. */
function best(
  endpoints: readonly Endpoint[],
  compare: (one: Endpoint, other: Endpoint) => number,
): Endpoint | undefined {
  const [first, ...others] = endpoints;
  return first && others.reduce((top, other) => (compare(other, top) > 0 ? other : top), first);
}
