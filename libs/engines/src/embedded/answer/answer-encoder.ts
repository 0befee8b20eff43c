import type { InferenceRequest, JsonObject } from '@baton/inference';
import type { ChoiceDelta } from '../run/choice-writer.js';
import type { Vocabulary } from '../llama/vocabulary.js';

/** Tokens of a request. Source: OpenAI API, usage object. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Prompt tokens that this engine had evaluated for an earlier request. */
  readonly cachedTokens: number;
}

/** Gives an answer the form of its api. */
export interface AnswerEncoder {
  /** One event of a stream. @param isFirst whether it is the first one of its choice. */
  chunk(index: number, delta: ChoiceDelta, isFirst: boolean): JsonObject;
  /** The event after the last choice, when the client asked for it. */
  usageChunk(usage: JsonObject): JsonObject;
  /** The whole answer; each choice is given as one delta. */
  whole(choices: readonly ChoiceDelta[], usage: JsonObject): JsonObject;
}

/** What the encoders need to know of a request. */
export interface AnswerContext {
  readonly request: InferenceRequest;
  readonly model: string;
  /** Unix time in seconds. */
  readonly created: number;
  /** Whether log probabilities were asked for. */
  readonly hasLogprobs: boolean;
  readonly vocabulary: Vocabulary;
  /** Length of the text before the first chunk, for `text_offset` of completions. Default 0. */
  readonly textOffset?: number;
}

/** The usage object of all three apis. */
export function usageObject({ promptTokens, completionTokens, cachedTokens }: Usage): JsonObject {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}
