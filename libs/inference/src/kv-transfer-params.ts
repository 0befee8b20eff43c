import { isJsonObject, type JsonObject } from './json.js';

/**
 * The field that carries the KV handoff on the wire, in requests and in answers.
 * Source: vLLM `docs/features/disagg_prefill`, request and response field of the OpenAI server.
 */
export const KV_TRANSFER_PARAMS = 'kv_transfer_params';

/**
 * The KV handoff of `body`, or undefined. The token endpoint may carry it nested in
 * `sampling_params.extra_args` (vLLM before 0.29 ignored it at the top level).
 */
export function kvTransferParams(body: JsonObject): JsonObject | undefined {
  const top = body[KV_TRANSFER_PARAMS];
  if (isJsonObject(top)) return top;
  const sampling = body['sampling_params'];
  const extra = isJsonObject(sampling) ? sampling['extra_args'] : undefined;
  const nested = isJsonObject(extra) ? extra[KV_TRANSFER_PARAMS] : undefined;
  return isJsonObject(nested) ? nested : undefined;
}

/** Whether `body` is itself a leg that somebody else coordinates. */
export function isLeg(body: JsonObject): boolean {
  const params = kvTransferParams(body);
  return params?.['do_remote_decode'] === true || params?.['do_remote_prefill'] === true;
}
