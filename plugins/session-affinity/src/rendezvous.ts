import type { Endpoint } from '@baton/remotes';
import { digestOf, type Digest } from './session-key.js';

const digests = new WeakMap<Endpoint, Digest>();

/**
 * The weight of an endpoint for a session, 0 to 2^53 - 1: rendezvous hashing (highest random weight; Thaler and Ravishankar,
 * 1998). A session belongs to the endpoint of the highest weight.
 *
 * A weight depends on nothing but the two, which is why there is no ring to build, to keep or to agree on, while the endpoints
 * on offer differ from pick to pick; and why an endpoint that goes takes only its own sessions along, each to its second choice:
 * those of the others stay where they are. To look at every endpoint costs little: a pool has tens, not thousands.
 */
export function weightOf([high, low]: Digest, endpoint: Endpoint): number {
  const [ownHigh, ownLow] = endpointDigest(endpoint);
  const first = mixed(high ^ ownHigh);
  const second = mixed(Math.imul(first, 0x9e3779b1) ^ low ^ mixed(ownLow));
  return second * 2 ** 21 + (first >>> 11);
}

function endpointDigest(endpoint: Endpoint): Digest {
  let digest = digests.get(endpoint);
  if (digest === undefined) {
    digest = digestOf('endpoint', endpoint.name);
    digests.set(endpoint, digest);
  }
  return digest;
}

/** MurmurHash3's finalizer (`fmix32`): every bit of the result depends on every bit of `value`. */
function mixed(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
