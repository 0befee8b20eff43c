import { HOPS_HEADER, InferenceError, isTrusted, type Caller } from '@baton/inference';
import type { IncomingHttpHeaders } from 'node:http';

/** Through a load balancer, a coordinator and two instances: no deployment of the field needs more. */
const MOST_HOPS = 4;

/**
 * How many instances a request has come through. Only trusted callers are believed; 0 for others, and for what is no number.
 *
 * @throws InferenceError 508 `loop_detected` when there were more than four: two instances send requests to each other.
 */
export function hopsOf(headers: IncomingHttpHeaders, caller: Caller): number {
  const value = isTrusted(caller) ? headers[HOPS_HEADER] : undefined;
  if (typeof value !== 'string' || !/^\d{1,9}$/.test(value)) return 0;
  const hops = Number(value);
  if (hops <= MOST_HOPS) return hops;
  throw new InferenceError('The request has come through too many instances: they send it in a circle.', {
    status: 508,
    type: 'server_error',
    code: 'loop_detected',
  });
}
