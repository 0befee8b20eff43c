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
  const found = handoffsOf(body);
  // An empty one says nothing, so it does not hide the other.
  return found.find((params) => Object.keys(params).length > 0) ?? found[0];
}

/**
 * Whether `body` is itself a leg that somebody else coordinates. Each protocol marks its legs: vLLM's connectors in
 * `kv_transfer_params`, TensorRT-LLM by `disaggregated_params`, SGLang by `bootstrap_room`.
 */
export function isLeg(body: JsonObject): boolean {
  const isMarked = handoffsOf(body).some(
    (params) => params['do_remote_decode'] === true || params['do_remote_prefill'] === true,
  );
  return isMarked || isJsonObject(body['disaggregated_params']) || isGiven(body['bootstrap_room']);
}

/** From the top level, and from where the token endpoint may carry it. */
function handoffsOf(body: JsonObject): JsonObject[] {
  const { sampling_params: sampling } = body;
  const extra = isJsonObject(sampling) ? sampling['extra_args'] : undefined;
  return [body[KV_TRANSFER_PARAMS], isJsonObject(extra) ? extra[KV_TRANSFER_PARAMS] : undefined].filter(isJsonObject);
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;
