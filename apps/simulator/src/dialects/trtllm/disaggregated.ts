import { badRequest } from '../../engine/engine-error.js';
import type { Sampling } from '../../engine/sampling.js';
import type { Leg } from '../../faults/fault.js';
import { objectOf, type JsonObject } from '../../json.js';
import type { KvLeg } from '../../kv/kv-transfer.js';

/** `disaggregated_params` of a request. */
export const paramsOf = (body: JsonObject): JsonObject | undefined => objectOf(body['disaggregated_params']);

const LEGS: Readonly<Record<string, Leg>> = { context_only: 'prefill', generation_only: 'decode' };

/** What a request is by its params. */
export const legOf = (body: JsonObject): Leg => LEGS[String(paramsOf(body)?.['request_type'])] ?? 'none';

/** A context makes one token, whatever is asked for, and one answer only. */
export function sideSampling(sampling: Sampling, kv: KvLeg | undefined): Sampling {
  if (kv === undefined) return sampling;
  if (sampling.n > 1) throw badRequest('n > 1 is not supported in disaggregated serving.', 'n');
  return kv.leg === 'prefill' ? { ...sampling, maxTokens: 1, minTokens: 0 } : sampling;
}
