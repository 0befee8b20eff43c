import { faultOf, type RequestRecord } from '../http/request-record.js';
import type { JsonObject } from '../json.js';

/** What a prefill hands over, as a fault wants it told. */
export function misreported(record: RequestRecord, params: JsonObject): JsonObject {
  const dropped = faultOf(record, 'drop_param_keys')?.keys ?? [];
  const kept = Object.entries(params).filter(([key]) => !dropped.includes(key));
  return { ...Object.fromEntries(kept), ...faultOf(record, 'extra_params')?.params };
}
