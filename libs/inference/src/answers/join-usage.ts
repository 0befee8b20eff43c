import { isJsonObject, type JsonObject } from '../json.js';
import type { PrefillShare } from './prefill-share.js';

/** Whether {@link joinUsage} changes anything. */
export function sharesUsage({ usage, lead }: PrefillShare): boolean {
  return usage !== undefined || (lead?.completionTokens ?? 0) > 0;
}

/**
 * D's `answer`, or an event of it, with the prompt as P counted it: to D every token whose KV it was handed is a cached
 * one. The same object when it has no usage.
 */
export function joinUsage(answer: JsonObject, share: PrefillShare): JsonObject {
  const usage = answer['usage'];
  if (!isJsonObject(usage) || !sharesUsage(share)) return answer;
  const { prompt_tokens_details: ownDetails, ...counts } = usage;
  const details = share.usage === undefined ? ownDetails : share.usage['prompt_tokens_details'];
  const prompt = share.usage?.['prompt_tokens'] ?? usage['prompt_tokens'];
  const completion = sum(usage['completion_tokens'], share.lead?.completionTokens ?? 0);
  const joined = {
    ...counts,
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: sum(prompt, completion),
    ...(details !== undefined && { prompt_tokens_details: details }),
  };
  return { ...answer, usage: joined };
}

/** The first when it cannot be counted with. */
function sum(first: unknown, second: unknown): unknown {
  return typeof first === 'number' && typeof second === 'number' ? first + second : first;
}
