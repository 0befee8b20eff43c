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

/** Fields of a request that say where KV is taken from or left, in all protocols. */
const AT_TOP = [
  ...[KV_TRANSFER_PARAMS, 'ec_transfer_params', 'disaggregated_params'],
  ...['bootstrap_host', 'bootstrap_port', 'bootstrap_room', 'bootstrap_pair_key'],
];
const IN_EXTRA_ARGS = [KV_TRANSFER_PARAMS, 'ec_transfer_params'];

/**
 * The body of a client's own request without any field of a handoff: those name addresses inside of the deployment, and
 * are for whoever coordinates to set. The same object when there is none of them; values are shared, never copied.
 */
export function clientBody(body: JsonObject): JsonObject {
  const top = without(body, AT_TOP);
  const { sampling_params: sampling } = top;
  const extra = isJsonObject(sampling) ? sampling['extra_args'] : undefined;
  if (!isJsonObject(sampling) || !isJsonObject(extra)) return top;
  const stripped = without(extra, IN_EXTRA_ARGS);
  return stripped === extra ? top : { ...top, sampling_params: { ...sampling, extra_args: stripped } };
}

function without(holder: JsonObject, fields: readonly string[]): JsonObject {
  if (!fields.some((field) => Object.hasOwn(holder, field))) return holder;
  return Object.fromEntries(Object.entries(holder).filter(([field]) => !fields.includes(field)));
}

/** From the top level, and from where the token endpoint may carry it. */
function handoffsOf(body: JsonObject): JsonObject[] {
  const { sampling_params: sampling } = body;
  const extra = isJsonObject(sampling) ? sampling['extra_args'] : undefined;
  return [body[KV_TRANSFER_PARAMS], isJsonObject(extra) ? extra[KV_TRANSFER_PARAMS] : undefined].filter(isJsonObject);
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;
