import type { Run } from '../../engine/run.js';
import type { JsonObject } from '../../json.js';

/** How long an answer took, and how much of its prompt was there already. */
export function timingsOf({ promptTokens, cachedTokens, engine }: Run, predicted: number): JsonObject {
  const { prefillUsPerToken, decodeUsPerToken } = engine.options;
  const computed = promptTokens - cachedTokens;
  return {
    cache_n: cachedTokens,
    prompt_n: computed,
    prompt_ms: (computed * prefillUsPerToken) / 1_000,
    predicted_n: predicted,
    predicted_ms: (predicted * decodeUsPerToken) / 1_000,
  };
}
