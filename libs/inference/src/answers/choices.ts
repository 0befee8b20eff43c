import { isJsonObject, type JsonObject } from '../json.js';

/** The choices of an answer, or of an event of a stream. */
export function choicesOf(answer: JsonObject): readonly JsonObject[] {
  const choices = answer['choices'];
  return Array.isArray(choices) ? choices.filter(isJsonObject) : [];
}

/** Which of the answer's choices it is. */
export function choiceIndex(choice: JsonObject): number {
  return typeof choice['index'] === 'number' ? choice['index'] : 0;
}

/** The choice with index 0. */
export function firstChoice(answer: JsonObject): JsonObject | undefined {
  return choicesOf(answer).find((choice) => choiceIndex(choice) === 0);
}

/** `answer` with another choice in the place of the one with index 0. The same object when that changes nothing. */
export function replaceFirstChoice(answer: JsonObject, replace: (choice: JsonObject) => JsonObject): JsonObject {
  const first = firstChoice(answer);
  const replaced = first && replace(first);
  if (replaced === first) return answer;
  return { ...answer, choices: choicesOf(answer).map((choice) => (choice === first ? replaced : choice)) };
}

/**
 * Ends of a prefill leg that are not ends of an answer. Source: TensorRT-LLM `openai_disagg_service` (not_finished),
 * llm-d's inference simulator (remote_decode), llm-d's fork of vLLM (cache_threshold).
 */
export const PREFILL_ENDS: ReadonlySet<string> = new Set(['not_finished', 'remote_decode', 'cache_threshold']);

/**
 * Why a choice ended; undefined while it goes on, which some servers say with an empty word. SGLang's own API has the word
 * in an object.
 */
export function finishReason(choice: JsonObject): string | undefined {
  const reason = choice['finish_reason'];
  const word = isJsonObject(reason) ? reason['type'] : reason;
  return typeof word === 'string' && word !== '' ? word : undefined;
}
