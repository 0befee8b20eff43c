import { choiceCount, isJsonObject, stringifyJson, type InferenceRequest, type JsonObject } from '@baton/inference';
import type { Dialect, DialectCall } from './dialect.js';
import { generateRequest, renameSampling, samplingNumber, unsupported } from './generate-request.js';
import { GenerateTranslator } from './generate-translator.js';
import { openAiCall } from './openai.dialect.js';
import { SglangPieces } from './sglang-pieces.js';

/** Source: SGLang `srt/sampling/sampling_params.py`. */
const SAMPLING = {
  renamed: {
    max_tokens: 'max_new_tokens',
    min_tokens: 'min_new_tokens',
    seed: 'sampling_seed',
    include_stop_str_in_output: 'no_stop_trim',
  },
  dropped: ['logprobs', 'prompt_logprobs', 'structured_outputs'],
  unsupported: [
    'allowed_token_ids',
    'bad_words',
    'logprob_token_ids',
    'repetition_detection',
    'thinking_token_budget',
    'truncate_prompt_tokens',
  ],
} as const;

/**
 * SGLang. Its token endpoint is `/generate`; requests carry their id in the body (`rid`), under which they can be
 * aborted. Source: SGLang `srt/entrypoints/http_server.py`, `srt/managers/io_struct.py`.
 */
export const sglangDialect: Dialect = {
  name: 'sglang',
  call(leg) {
    if (leg.api === 'generate') return generateCall(leg);
    const { path, body } = openAiCall(leg);
    return { path, body: { ...body, ...requestId(leg) } };
  },
  translator: (leg) => {
    if (leg.api !== 'generate') return undefined;
    const pieces = new SglangPieces(leg.stream);
    return new GenerateTranslator(leg, choiceCount(leg), (data) => pieces.read(data));
  },
  abort: (leg) => (isSingle(leg) ? { path: '/abort_request', body: { rid: ridOf(leg) } } : undefined),
  healthPath: '/health',
  metrics: { waiting: 'sglang:num_queue_reqs', running: 'sglang:num_running_reqs', kvUsage: 'sglang:token_usage' },
  renders: false,
};

function generateCall(leg: InferenceRequest): DialectCall {
  const { tokenIds, sampling, rest, cacheSalt } = generateRequest(leg);
  return {
    path: '/generate',
    body: {
      ...rest,
      input_ids: tokenIds,
      sampling_params: samplingOf(sampling),
      ...logprobsOf(sampling),
      ...(cacheSalt === undefined ? {} : { extra_key: cacheSalt }),
      stream: leg.stream,
      ...requestId(leg),
    },
  };
}

function samplingOf(sampling: JsonObject): JsonObject {
  return {
    // Left out, it would be 128; null is what is left of the context, as in vLLM.
    max_new_tokens: null,
    ...renameSampling(sampling, SAMPLING),
    ...(sampling['top_k'] === 0 ? { top_k: -1 } : {}),
    ...constraintOf(sampling['structured_outputs']),
  };
}

/** Its grammars are strings, JSON schemas too. */
function constraintOf(outputs: unknown): JsonObject {
  if (!isJsonObject(outputs)) return {};
  const { json, regex, grammar, structural_tag: tag } = outputs;
  if (typeof json === 'string') return { json_schema: json };
  if (isJsonObject(json)) return { json_schema: stringifyJson(json) };
  if (outputs['json_object'] === true) return { json_schema: '{"type":"object"}' };
  if (typeof regex === 'string') return { regex };
  if (typeof grammar === 'string') return { ebnf: grammar };
  if (typeof tag === 'string') return { structural_tag: tag };
  throw unsupported('sampling_params.structured_outputs');
}

function logprobsOf(sampling: JsonObject): JsonObject {
  const ofOutput = samplingNumber(sampling, 'logprobs');
  const ofPrompt = samplingNumber(sampling, 'prompt_logprobs');
  if (ofOutput === undefined && ofPrompt === undefined) return {};
  return {
    return_logprob: true,
    top_logprobs_num: Math.max(0, ofOutput ?? 0, ofPrompt ?? 0),
    ...(ofPrompt === undefined ? {} : { logprob_start_len: 0 }),
  };
}

/**
 * The leg's id when it was made here. One that came with a leg from elsewhere is not used: an abort ends every request whose
 * id begins with it, so that whoever marks a call as a leg could end what others wait for. Source: SGLang `srt/managers/scheduler.py`, abort_request.
 */
function ridOf(leg: InferenceRequest): string {
  return leg.id.startsWith(leg.key) ? leg.id : leg.key;
}

/** Several sequences want a list of ids, or none. Source: SGLang `srt/managers/io_struct.py`. */
function requestId(leg: InferenceRequest): JsonObject {
  return isSingle(leg) ? { rid: ridOf(leg) } : { rid: undefined };
}

function isSingle(leg: InferenceRequest): boolean {
  const { prompt } = leg.body;
  const isBatch = leg.api === 'completions' && Array.isArray(prompt) && typeof prompt[0] !== 'number';
  return !isBatch && choiceCount(leg) === 1;
}
