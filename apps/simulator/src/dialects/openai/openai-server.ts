import type { Engine } from '../../engine/engine.js';
import type { Run } from '../../engine/run.js';
import type { FinishReason, Sampling, Step } from '../../engine/sampling.js';
import type { InferenceAnswer } from '../../http/answer.js';
import type { JsonObject } from '../../json.js';
import type { KvLeg } from '../../kv/kv-transfer.js';
import type { KvPart } from './parts.js';

export type OpenAiApi = 'chat' | 'completions';

/** A choice, or a step of one, as the answer tells it. */
export interface ToldChoice {
  readonly ids: readonly number[];
  readonly finish: FinishReason | undefined;
  readonly stopReason: Step['stopReason'];
}

/** What differs between servers that have the OpenAI endpoints. */
export interface OpenAiServer {
  readonly engine: Engine;
  readonly model: string;
  /** Whether completions may begin with their prompt (`echo`), and whether its logprobs come with it. */
  readonly echoes: 'with logprobs' | 'text' | 'never';
  /** The id of an answer. */
  idOf(api: OpenAiApi, answer: InferenceAnswer): string;
  /** The prompts of a request: one for chat. */
  promptsOf(api: OpenAiApi, body: JsonObject): readonly (readonly number[])[];
  samplingOf(api: OpenAiApi, body: JsonObject, promptTokens: number, kv: KvLeg | undefined): Sampling;
  /** The part of one of the request's prompts in the KV transfer, and the rank that runs it. */
  kvOf(answer: InferenceAnswer, index: number, prompts: number): KvPart;
  /** Fields of an answer, or of the last chunk of a stream, beyond OpenAI's. */
  answerFields?(answer: InferenceAnswer, runs: readonly Run[]): JsonObject;
  /** Fields of a choice beyond OpenAI's; those of the same name replace OpenAI's. */
  choiceFields?(answer: InferenceAnswer, run: Run, choice: ToldChoice): JsonObject;
}
