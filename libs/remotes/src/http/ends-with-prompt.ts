import { isJsonObject, kvTransferParams, type InferenceRequest } from '@baton/inference';

/**
 * Whether the answer is there as soon as the prompt is read: a prefill leg, or any request for one token. (A prefill leg of
 * SGLang has no sign of its own; it ends with the decode leg that runs beside it.)
 */
export function endsWithPrompt({ api, body }: InferenceRequest): boolean {
  const sampling = api === 'generate' && isJsonObject(body['sampling_params']) ? body['sampling_params'] : body;
  if (sampling['max_tokens'] === 1 || sampling['max_completion_tokens'] === 1) return true;
  const params = body['disaggregated_params'];
  if (isJsonObject(params) && params['request_type'] === 'context_only') return true;
  return kvTransferParams(body)?.['do_remote_decode'] === true;
}
