import { isJsonObject, KV_TRANSFER_PARAMS, type InferenceApi, type JsonObject } from '@baton/inference';

/** What a protocol's prefill leg keeps that others drop. */
export interface PrefillOptions {
  /** P's token may be, or begin, the client's answer: it has its log probabilities, and `min_tokens` lets it not end. */
  readonly firstTokenCounts?: boolean;
}

/**
 * The client's body as a prefill leg: one token of one choice, not streamed. What needs a stream, more than one token
 * or sampled output is taken out: vLLM refuses `stream_options` without a stream, and every engine a `min_tokens` above
 * `max_tokens` (vLLM #16705, #18341, #42703). `prompt_logprobs` and `echo` stay: only P can answer them. Tools and chat
 * template arguments stay, because they are part of the prompt.
 */
export function prefillBody(api: InferenceApi, body: JsonObject, options: PrefillOptions = {}): JsonObject {
  const { firstTokenCounts = false } = options;
  return editSampling(api, unstreamedBody(api, body), (sampling) => {
    const mayNotEnd = firstTokenCounts && Number(sampling['min_tokens'] ?? 0) > 0;
    for (const field of ['min_tokens', 'best_of']) delete sampling[field];
    if (mayNotEnd) sampling['min_tokens'] = 1;
    sampling['max_tokens'] = 1;
    for (const field of ['max_completion_tokens', 'n']) if (field in sampling) sampling[field] = 1;
    if (!firstTokenCounts && !echoes(api, body)) for (const field of LOGPROBS) delete sampling[field];
  });
}

/** `logprob_token_ids` is refused without `logprobs`. Source: vLLM `entrypoints/openai/completion/protocol.py`. */
const LOGPROBS = ['logprobs', 'top_logprobs', 'logprob_token_ids'];

/**
 * The client's body as a leg whose answer is whole, and nothing else changed, for protocols in which P has to see the
 * client's own limits. An echo of a prompt that is not text asks for `logprobs` too: their offsets tell where it ends.
 */
export function unstreamedBody(api: InferenceApi, body: JsonObject): JsonObject {
  const { stream_options: _, ...edited } = body;
  const isCut = echoes(api, body) && typeof body['prompt'] !== 'string';
  return { ...edited, stream: false, ...(isCut ? { logprobs: body['logprobs'] ?? 0 } : {}) };
}

/** Whether the answer begins with the prompt. */
function echoes(api: InferenceApi, body: JsonObject): boolean {
  return api === 'completions' && body['echo'] === true;
}

/**
 * The client's body as a decode leg: its own, except what only the instance that has read the prompt can answer. On
 * D, `prompt_logprobs` crash the engine (vLLM #50792), and `echo` means them as well (#27449); they come from P.
 */
export function decodeBody(api: InferenceApi, body: JsonObject): JsonObject {
  const holder = api === 'generate' ? body['sampling_params'] : body;
  if (!isJsonObject(holder) || !FROM_PREFILL.some((field) => field in holder)) return body;
  return editSampling(api, body, (sampling) => FROM_PREFILL.forEach((field) => delete sampling[field]));
}

const FROM_PREFILL = ['prompt_logprobs', 'echo'];

/**
 * `body` with the KV handoff. On the token endpoint it goes into `sampling_params.extra_args` as well: vLLM before 0.29
 * ignores it at the top level (#42644).
 */
export function withKvTransferParams(api: InferenceApi, body: JsonObject, params: JsonObject): JsonObject {
  const edited = { ...body, [KV_TRANSFER_PARAMS]: params };
  if (api !== 'generate') return edited;
  return editSampling(api, edited, (sampling) => {
    const extra = sampling['extra_args'];
    sampling['extra_args'] = { ...(isJsonObject(extra) ? extra : {}), [KV_TRANSFER_PARAMS]: params };
  });
}

/**
 * `body` without anything that ends an answer early, for a P that keeps its KV only when the answer was cut by its limit:
 * a first token that is the end of the answer would leave D waiting (vLLM #46008).
 */
export function withoutStops(api: InferenceApi, body: JsonObject): JsonObject {
  return editSampling(api, body, (sampling) => {
    sampling['ignore_eos'] = true;
    for (const field of ['stop', 'stop_token_ids']) delete sampling[field];
  });
}

/** A copy of `body` in which the limits were edited: at the top level, or in the `sampling_params` of the token endpoint. */
export function editSampling(
  api: InferenceApi,
  body: JsonObject,
  edit: (sampling: Record<string, unknown>) => void,
): JsonObject {
  const found = api === 'generate' ? body['sampling_params'] : body;
  const sampling: Record<string, unknown> = isJsonObject(found) ? { ...found } : {};
  edit(sampling);
  return api === 'generate' ? { ...body, sampling_params: sampling } : sampling;
}
