import { badRequest } from '../../engine/engine-error.js';
import type { FinishReason } from '../../engine/sampling.js';
import type { InferenceAnswer } from '../../http/answer.js';
import { faultOf } from '../../http/request-record.js';
import type { JsonObject } from '../../json.js';
import { wholeNumber } from './fields.js';

/** The most alternatives that logprobs may list. */
export const MAX_LOGPROBS = 20;

/** The finish reason as the client gets it. */
export const shownFinish = ({ record }: InferenceAnswer, finish: FinishReason | undefined): FinishReason | null =>
  finish === undefined || faultOf(record, 'no_finish_reason') !== undefined ? null : finish;

/** How many alternatives `prompt_logprobs` lists; undefined: none are asked for. */
export function promptAlternatives(body: JsonObject): number | undefined {
  const asked = wholeNumber(body, 'prompt_logprobs', -1, MAX_LOGPROBS);
  return asked === undefined ? undefined : Math.max(0, asked);
}

/** How many alternatives chat's logprobs list. */
export function chatAlternatives(body: JsonObject): number | undefined {
  const top = wholeNumber(body, 'top_logprobs', 0, MAX_LOGPROBS);
  if (body['logprobs'] === true) return top ?? 0;
  if (top !== undefined && top > 0)
    throw badRequest('when using `top_logprobs`, `logprobs` must be set to true.', 'top_logprobs');
  return undefined;
}

/** How many alternatives the logprobs of completions and of the token endpoint list. */
export const countedAlternatives = (body: JsonObject): number | undefined =>
  wholeNumber(body, 'logprobs', 0, MAX_LOGPROBS);
