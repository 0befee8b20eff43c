import { InferenceError, isJsonObject, type InferenceRequest, type JsonObject } from '@baton/inference';

/** A request of the token endpoint, taken apart for servers that have another one. */
export interface GenerateRequest {
  /** A list of token ids, or the raw bytes of one. */
  readonly tokenIds: unknown;
  /** `sampling_params` without the fields that say nothing (null, an empty list). */
  readonly sampling: JsonObject;
  /** Top-level fields that the token endpoint does not define: meant for the server itself. */
  readonly rest: JsonObject;
  readonly cacheSalt: string | undefined;
}

/** The fields of vLLM's `GenerateRequest`. Source: vLLM `token_in_token_out/protocol.py`. */
const KNOWN_FIELDS = new Set([
  'assistant_tokens_mask',
  'cache_salt',
  'content_parts',
  'ec_transfer_params',
  'features',
  'kv_transfer_params',
  'model',
  'output_mode',
  'priority',
  'reasoning_ended',
  'reasoning_parser_kwargs',
  'request_id',
  'return_token_ids',
  'return_token_logprobs',
  'return_top_k_logprobs',
  'sampling_params',
  'stream',
  'stream_options',
  'token_ids',
  'token_offsets',
]);

/** Fields that say what the prompt is: without them the answer would be to another question. */
const NEEDED_FIELDS = ['features', 'content_parts', 'ec_transfer_params'];

/** Sampling parameters that concern vLLM itself (how it hands over its output), not what is sampled. */
const OWN_SAMPLING = new Set([
  'detokenize',
  'extra_args',
  'flat_logprobs',
  'output_kind',
  'skip_clone',
  'skip_reading_prefix_cache',
]);

/**
 * Takes a request of the token endpoint apart.
 *
 * @throws InferenceError 501 when it has a prompt that is more than tokens.
 */
export function generateRequest(leg: InferenceRequest): GenerateRequest {
  const { body } = leg;
  for (const field of NEEDED_FIELDS) if (saysSomething(body[field])) throw unsupported(field);
  const { sampling_params: sampling, cache_salt: salt } = body;
  return {
    tokenIds: body['token_ids'],
    sampling: filterFields(
      isJsonObject(sampling) ? sampling : {},
      (name, value) => saysSomething(value) && !OWN_SAMPLING.has(name),
    ),
    rest: filterFields(body, (name) => !KNOWN_FIELDS.has(name)),
    cacheSalt: typeof salt === 'string' ? salt : undefined,
  };
}

/** How a server names the sampling parameters, and which it lacks. */
export interface SamplingNames {
  /** vLLM's name to the server's. What is not named here keeps its name. */
  readonly renamed: Readonly<Record<string, string>>;
  /** Dropped, since they are said in another way or do not change the tokens. */
  readonly dropped: readonly string[];
  /** Refused unless they say what is so anyway. */
  readonly unsupported: readonly string[];
}

/**
 * Sampling parameters in the names of a server. Those that nobody here knows go on: they may be the server's own.
 *
 * @throws InferenceError 501 for a parameter that the server does not have.
 */
export function renameSampling(sampling: JsonObject, names: SamplingNames): JsonObject {
  const missing = names.unsupported.find((name) => saysSomething(sampling[name]) && !isNeutral(name, sampling[name]));
  if (missing !== undefined) throw unsupported(`sampling_params.${missing}`);
  const kept = Object.entries(sampling).filter(([name]) => ![...names.dropped, ...names.unsupported].includes(name));
  return Object.fromEntries(kept.map(([name, value]) => [names.renamed[name] ?? name, value]));
}

/** `sampling_params[name]` when it is a number. */
export function samplingNumber(sampling: JsonObject, name: string): number | undefined {
  const value = sampling[name];
  return typeof value === 'number' ? value : undefined;
}

/** Whether the client wants a usage event at the end of a stream, or in each event. */
export function usageWishes(leg: InferenceRequest): { atEnd: boolean; inEach: boolean } {
  const { stream_options: options } = leg.body;
  const atEnd = isJsonObject(options) && options['include_usage'] === true;
  return { atEnd, inEach: atEnd && isJsonObject(options) && options['continuous_usage_stats'] === true };
}

/** A request parameter that the engine server has no counterpart for. */
export function unsupported(param: string): InferenceError {
  return new InferenceError(`The engine server does not support ${param} on the token endpoint.`, {
    status: 501,
    type: 'invalid_request_error',
    param,
    code: 'unsupported_by_engine',
  });
}

/** Switches that are off, and a least length of nothing. */
function isNeutral(name: string, value: unknown): boolean {
  return value === false || (name === 'min_tokens' && value === 0);
}

function saysSomething(value: unknown): boolean {
  return value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);
}

function filterFields(object: JsonObject, keep: (name: string, value: unknown) => boolean): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name, value]) => keep(name, value)));
}
