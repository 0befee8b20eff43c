import type { Run } from '../../engine/run.js';
import { objectOf, type JsonObject } from '../../json.js';

/** The usage of an answer that took these runs. */
export function usageOf(runs: readonly Run[]): JsonObject {
  const sum = (figure: (run: Run) => number): number => runs.reduce((total, run) => total + figure(run), 0);
  const [prompt, completion] = [sum((run) => run.promptTokens), sum((run) => run.completionTokens)];
  const details = runs.some(({ engine }) => engine.options.promptTokensDetails);
  return {
    prompt_tokens: prompt,
    total_tokens: prompt + completion,
    completion_tokens: completion,
    ...(details && { prompt_tokens_details: { cached_tokens: sum((run) => run.cachedTokens) } }),
  };
}

/** Which usage a stream carries. */
export interface StreamUsage {
  /** In a chunk of its own at the end. */
  readonly final: boolean;
  /** In every chunk. */
  readonly continuous: boolean;
}

export function streamUsageOf(body: JsonObject): StreamUsage {
  const options = objectOf(body['stream_options']) ?? {};
  const final = options['include_usage'] === true;
  return { final, continuous: final && options['continuous_usage_stats'] === true };
}
