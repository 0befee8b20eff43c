import { HOPS_HEADER, InferenceError } from '@baton/inference';
import type { IncomingHttpHeaders } from 'node:http';

/** Through a load balancer, a coordinator and two instances: no deployment of the field needs more. */
const MOST_HOPS = 4;

/**
 * How many instances a request has come through; 0 for what is no number. Everybody is believed: instances that send to each
 * other without keys are clients to each other, and a client that lies has only its own request refused.
 *
 * @throws InferenceError 508 `loop_detected` when there were more than four: two instances send requests to each other.
 */
export function hopsOf(headers: IncomingHttpHeaders): number {
  const value = headers[HOPS_HEADER];
  if (typeof value !== 'string' || !/^\d{1,9}$/.test(value)) return 0;
  const hops = Number(value);
  if (hops <= MOST_HOPS) return hops;
  throw new InferenceError('The request has come through too many instances: they send it in a circle.', {
    status: 508,
    type: 'server_error',
    code: 'loop_detected',
  });
}
