import { isJsonObject, type InferenceApi, type JsonObject } from '@baton/inference';

/**
 * The client's body as a prefill leg: one token, one choice, not streamed. What needs a stream, more than one
 * token or sampled output is taken out: `stream_options` is refused by vLLM without a stream, and a `min_tokens`
 * above `max_tokens` is refused by every engine. Made from a copy, so the decode leg keeps the client's values.
 */
export function prefillBody(api: InferenceApi, body: JsonObject): JsonObject {
  const edited: Record<string, unknown> = { ...body, stream: false };
  delete edited['stream_options'];
  if (api !== 'generate') return oneToken(edited);
  const sampling = body['sampling_params'];
  return { ...edited, sampling_params: oneToken(isJsonObject(sampling) ? { ...sampling } : {}) };
}

function oneToken(holder: Record<string, unknown>): JsonObject {
  holder['max_tokens'] = 1;
  for (const field of ['max_completion_tokens', 'n']) if (field in holder) holder[field] = 1;
  for (const field of ['min_tokens', 'best_of', 'logprobs', 'top_logprobs']) delete holder[field];
  return holder;
}
