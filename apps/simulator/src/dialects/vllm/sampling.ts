import { badRequest } from '../../engine/engine-error.js';
import type { EngineOptions } from '../../engine/engine-options.js';
import type { Sampling } from '../../engine/sampling.js';
import { numberOf, type JsonObject } from '../../json.js';
import { texts, tokenIds, wholeNumber } from './fields.js';

/** What an API calls its fields and what it fills in. */
export interface SamplingNames {
  /** In order; the first that is there counts. */
  readonly maxTokens: readonly string[];
  /** Undefined: what is left of the context, within the server's default. */
  readonly defaultMaxTokens: number | undefined;
  /** How many alternatives the logprobs list. */
  readonly logprobs: (body: JsonObject) => number | undefined;
}

/** The sampling parameters of a request, validated as vLLM validates them. */
export function samplingOf(
  body: JsonObject,
  promptTokens: number,
  names: SamplingNames,
  engine: EngineOptions,
): Sampling {
  const room = engine.maxModelLen - promptTokens;
  const asked = names.maxTokens.map((name) => wholeNumber(body, name, 0)).find((value) => value !== undefined);
  const maxTokens = asked ?? Math.min(room, names.defaultMaxTokens ?? engine.defaultMaxTokens);
  if (room < 1 || maxTokens > room)
    throw badRequest(
      `This model's maximum context length is ${engine.maxModelLen} tokens. However, you requested ${maxTokens} output ` +
        `tokens and your prompt contains ${promptTokens} input tokens.`,
      'max_tokens',
    );
  // Nothing is generated when a completion only echoes its prompt.
  if (maxTokens < 1 && body['echo'] !== true) throw badRequest('max_tokens must be at least 1, got 0.', 'max_tokens');
  const minTokens = wholeNumber(body, 'min_tokens', 0) ?? 0;
  if (minTokens > maxTokens)
    throw badRequest(
      `min_tokens must be less than or equal to max_tokens=${maxTokens}, got ${minTokens}.`,
      'min_tokens',
    );
  ranged(body, 'temperature', 0, Infinity);
  ranged(body, 'top_p', 0, 1);
  return {
    n: wholeNumber(body, 'n', 1, engine.maxRunning) ?? 1,
    maxTokens,
    minTokens,
    ignoreEos: body['ignore_eos'] === true,
    stop: texts(body, 'stop'),
    stopTokenIds: tokenIds(body, 'stop_token_ids'),
    includeStop: body['include_stop_str_in_output'] === true,
    logprobs: names.logprobs(body),
  };
}

/** vLLM takes the options of a stream for streams alone, and gives no prompt logprobs in one. */
export function assertStreamOptions(body: JsonObject): void {
  const streams = body['stream'] === true;
  if (!streams && body['stream_options'] !== undefined && body['stream_options'] !== null)
    throw badRequest('Stream options can only be defined when `stream=True`.', 'stream_options');
  const promptLogprobs = wholeNumber(body, 'prompt_logprobs', -1);
  if (streams && promptLogprobs !== undefined && promptLogprobs !== 0)
    throw badRequest('`prompt_logprobs` are not available when `stream=True`.', 'prompt_logprobs');
}

function ranged(body: JsonObject, name: string, least: number, most: number): void {
  const value = body[name];
  if (value === undefined || value === null) return;
  const number = numberOf(value);
  if (number === undefined || number < least || number > most)
    throw badRequest(`${name} must be in [${least}, ${most}], got ${JSON.stringify(value)}.`, name);
}
