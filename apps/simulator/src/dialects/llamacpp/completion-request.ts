import { badRequest } from '../../engine/engine-error.js';
import type { EngineOptions } from '../../engine/engine-options.js';
import type { Sampling } from '../../engine/sampling.js';
import { tokenize } from '../../engine/vocabulary.js';
import { isInteger, numberOf, type JsonObject } from '../../json.js';
import { texts, wholeNumber } from '../vllm/fields.js';
import { SlotLeg } from './slot-leg.js';
import type { Slots } from './slots.js';

/** The prompts of a request, and whether there may be several of them. */
export interface LlamaPrompts {
  readonly prompts: readonly (readonly number[])[];
  readonly isList: boolean;
}

/** A text, a list of ids, both mixed, or a list of these. */
export function llamaPrompts({ prompt }: JsonObject): LlamaPrompts {
  const isOne = !Array.isArray(prompt) || prompt.some((item) => isInteger(item));
  const prompts = isOne ? [onePrompt(prompt)] : prompt.map(onePrompt);
  if (prompts.length === 0) throw badRequest('"prompt" must not be empty', 'prompt');
  return { prompts, isList: !isOne };
}

function onePrompt(prompt: unknown): number[] {
  const parts: readonly unknown[] = Array.isArray(prompt) ? prompt : [prompt];
  const ids = parts.flatMap((part) => {
    if (typeof part === 'string') return tokenize(part);
    if (isInteger(part) && part >= 0) return [part];
    throw badRequest(
      '"prompt" elements must be a string, a list of tokens, a list of mixed strings & tokens, or a list of prompts',
      'prompt',
    );
  });
  if (ids.length === 0) throw badRequest('"prompt" must not be empty', 'prompt');
  return ids;
}

/** Names of the limit, in the order in which they count; -1 is no limit, 0 only reads the prompt. */
const LIMITS = ['max_completion_tokens', 'max_tokens', 'n_predict'] as const;

/** The sampling parameters, native or OpenAI's; what is not known is ignored. */
export function llamaSampling(body: JsonObject, promptTokens: number, engine: EngineOptions): Sampling {
  const room = engine.maxModelLen - promptTokens;
  if (room < 1)
    throw badRequest(
      `the request exceeds the available context size (${promptTokens} >= ${engine.maxModelLen}), try increasing it`,
    );
  const asked = LIMITS.map((name) => wholeNumber(body, name, -1)).find((value) => value !== undefined) ?? -1;
  return {
    n: wholeNumber(body, 'n_cmpl', 1) ?? wholeNumber(body, 'n', 1) ?? 1,
    maxTokens: Math.min(room, asked === -1 ? engine.defaultMaxTokens : asked),
    minTokens: 0,
    ignoreEos: body['ignore_eos'] === true,
    stop: texts(body, 'stop'),
    stopTokenIds: [],
    includeStop: false,
    logprobs: alternativesOf(body),
  };
}

function alternativesOf(body: JsonObject): number | undefined {
  const native = wholeNumber(body, 'n_probs', 0) ?? 0;
  if (native > 0) return native;
  const { logprobs } = body;
  if (logprobs === true) return numberOf(body['top_logprobs']) ?? 0;
  return numberOf(logprobs);
}

/** The request's time in a slot. */
export function slotLegOf(body: JsonObject, slots: Slots): SlotLeg {
  const wanted = wholeNumber(body, 'id_slot', -1) ?? -1;
  if (wanted !== -1) slots.find(wanted);
  return new SlotLeg(slots, wanted, body['cache_prompt'] !== false);
}
