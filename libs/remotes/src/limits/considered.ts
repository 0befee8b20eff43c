import type { ConsideredEndpoint } from '@baton/inference';
import type { Endpoint } from '../endpoint.js';
import { roomIn, type EndpointLoad } from './endpoint-load.js';

/** Why an endpoint is not offered to the picker. */
export type Exclusion =
  /** It has just failed, or is taken by another leg of the request. */
  | 'tried'
  /** It is left alone for a while. */
  | 'breaker_open'
  /** A leg is finding out whether it is back. */
  | 'breaker_trial'
  /** It has as many legs as it may have. */
  | 'full';

/** All endpoints of a pool, and why those that are not offered now are not. Changes nothing. */
export function consideredOf(
  loads: readonly EndpointLoad[],
  except: ReadonlySet<Endpoint> | undefined,
  isUrgent: boolean,
): readonly ConsideredEndpoint[] {
  const allowed = except?.size ? loads.filter(({ endpoint }) => !except.has(endpoint)) : loads;
  const withRoom = roomIn(allowed);
  const offered = new Set(isUrgent && withRoom.length === 0 ? allowed : withRoom);
  return loads.map((load) => {
    const { name } = load.endpoint;
    return offered.has(load) ? { name } : { name, excluded: exclusionOf(load, except) };
  });
}

function exclusionOf({ endpoint, breaker, hasRoom }: EndpointLoad, except?: ReadonlySet<Endpoint>): Exclusion {
  if (except?.has(endpoint) === true) return 'tried';
  if (!breaker.allows) return breaker.state === 'open' ? 'breaker_open' : 'breaker_trial';
  return hasRoom ? 'tried' : 'full';
}
