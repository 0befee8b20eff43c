import { badRequest } from '../../engine/engine-error.js';
import type { EngineOptions } from '../../engine/engine-options.js';
import type { Sampling } from '../../engine/sampling.js';
import { tokenize } from '../../engine/vocabulary.js';
import { idsOf, numberOf, objectOf, type JsonObject } from '../../json.js';
import { wholeNumber } from '../vllm/fields.js';
import { samplingOf } from '../vllm/sampling.js';

/** How long an answer is when `max_new_tokens` is not sent; null is what is left. */
const DEFAULT_NEW_TOKENS = 128;

/** The prompts of `/generate`, and whether they came as a batch. */
export interface GeneratePrompts {
  readonly prompts: readonly (readonly number[])[];
  readonly isBatch: boolean;
}

/** `text` or `input_ids`, one or several. */
export function generatePrompts({ text, input_ids: inputIds }: JsonObject): GeneratePrompts {
  if ((text === undefined || text === null) === (inputIds === undefined || inputIds === null))
    throw badRequest('Either text, input_ids or input_embeds should be provided.', 'text');
  const one = typeof text === 'string' ? tokenize(text) : idsOf(inputIds);
  if (one !== undefined && one.length > 0) return { prompts: [one], isBatch: false };
  const list = text ?? inputIds;
  const items: readonly unknown[] = Array.isArray(list) ? list : [];
  const prompts = items.map((item) => (typeof item === 'string' ? tokenize(item) : idsOf(item)));
  if (prompts.length === 0 || prompts.some((ids) => ids === undefined || ids.length === 0))
    throw badRequest('The prompt must be a non-empty text or a list of token ids, or a list of these.', 'input_ids');
  return { prompts: prompts.filter((ids) => ids !== undefined), isBatch: true };
}

/** The sampling parameters of one prompt; a batch may have a list of them. */
export function generateSampling(
  body: JsonObject,
  index: number,
  promptTokens: number,
  engine: EngineOptions,
): Sampling {
  const given = body['sampling_params'];
  const params = objectOf(Array.isArray(given) ? given[index] : given) ?? {};
  const defaultMaxTokens = params['max_new_tokens'] === undefined ? DEFAULT_NEW_TOKENS : undefined;
  // Nothing generated is an answer too, as where vLLM only echoes.
  const named = { ...params, min_tokens: params['min_new_tokens'], echo: true };
  const names = { maxTokens: ['max_new_tokens'], defaultMaxTokens, logprobs: () => alternativesOf(body) };
  return { ...samplingOf(named, promptTokens, names, engine), includeStop: params['no_stop_trim'] === true };
}

/** How many alternatives logprobs list; undefined: no logprobs are asked for. */
export function alternativesOf(body: JsonObject): number | undefined {
  return body['return_logprob'] === true ? (wholeNumber(body, 'top_logprobs_num', 0) ?? 0) : undefined;
}

/** From which token of the prompt on logprobs are asked for; undefined: for none. */
export function promptLogprobsFrom(body: JsonObject): number | undefined {
  const from = numberOf(body['logprob_start_len']) ?? -1;
  return body['return_logprob'] === true && from >= 0 ? from : undefined;
}
