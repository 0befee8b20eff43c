import { choiceCount, isJsonObject, type InferenceRequest, type JsonObject } from '@baton/inference';
import type { Dialect, DialectCall } from './dialect.js';
import { generateRequest, renameSampling, samplingNumber, unsupported } from './generate-request.js';
import {
  countOf,
  GenerateTranslator,
  tokenLogprob,
  withoutTokenIds,
  type GeneratedPiece,
} from './generate-translator.js';
import { openAiCall } from './openai.dialect.js';

const SAMPLING = {
  renamed: { max_tokens: 'n_predict', n: 'n_cmpl', repetition_penalty: 'repeat_penalty' },
  dropped: [
    'include_stop_str_in_output',
    'logprobs',
    'skip_special_tokens',
    'spaces_between_special_tokens',
    'structured_outputs',
  ],
  unsupported: [
    'allowed_token_ids',
    'bad_words',
    'logprob_token_ids',
    'min_tokens',
    'prompt_logprobs',
    'repetition_detection',
    'stop_token_ids',
    'thinking_token_budget',
    'truncate_prompt_tokens',
  ],
} as const;

/** What the token endpoint samples with when the request does not say; this server's own defaults are others. */
const DEFAULTS = { n_predict: -1, temperature: 1, top_p: 1, top_k: 0, min_p: 0, repeat_penalty: 1 };

/**
 * llama.cpp's `llama-server`. Its token endpoint is `/completion`, whose streams end without an end mark; it has no
 * abort. Source: llama.cpp `tools/server/README.md`, `server-task.cpp`, `server-context.cpp`.
 */
export const llamaCppDialect: Dialect = {
  name: 'llamacpp',
  call: (leg) => (leg.api === 'generate' ? generateCall(leg) : openAiCall(leg)),
  translator: (leg) =>
    leg.api === 'generate' ? new GenerateTranslator(leg, choiceCount(leg), (data) => pieceOf(data)) : undefined,
  abort: () => undefined,
  // 503 while the model loads.
  healthPath: '/health',
  metrics: { waiting: 'llamacpp:requests_deferred', running: 'llamacpp:requests_processing' },
  renders: false,
};

function generateCall(leg: InferenceRequest): DialectCall {
  const { tokenIds, sampling, rest, cacheSalt } = generateRequest(leg);
  const logprobs = samplingNumber(sampling, 'logprobs');
  return {
    path: '/completion',
    body: {
      // A salt keeps others from learning, by its speed, that a prompt was cached: no cache does so as well.
      ...(cacheSalt === undefined ? {} : { cache_prompt: false }),
      ...rest,
      ...DEFAULTS,
      ...renameSampling(sampling, SAMPLING),
      ...(logprobs === undefined ? {} : { n_probs: Math.max(1, logprobs) }),
      ...constraintOf(sampling['structured_outputs']),
      prompt: tokenIds,
      return_tokens: true,
      stream: leg.stream,
    },
  };
}

function constraintOf(outputs: unknown): JsonObject {
  if (!isJsonObject(outputs)) return {};
  const { json, grammar } = outputs;
  if (isJsonObject(json)) return { json_schema: json };
  if (outputs['json_object'] === true) return { json_schema: { type: 'object' } };
  if (typeof grammar === 'string') return { grammar };
  throw unsupported('sampling_params.structured_outputs');
}

/** The last event of a stream has `stop: true` and no tokens. */
function pieceOf(data: JsonObject): GeneratedPiece | undefined {
  if (typeof data['stop'] !== 'boolean') return undefined;
  const { index, model, tokens, timings, stopping_word: word } = data;
  if (!Array.isArray(tokens)) throw withoutTokenIds();
  const cached = isJsonObject(timings) ? timings['cache_n'] : undefined;
  return {
    tokenIds: tokens,
    finishReason: data['stop'] ? finishReasonOf(data['stop_type']) : null,
    logprobs: logprobsOf(data['completion_probabilities']),
    promptTokens: countOf(data['tokens_evaluated']),
    completionTokens: countOf(data['tokens_predicted']),
    ...(typeof index === 'number' ? { index } : {}),
    ...(typeof model === 'string' ? { model } : {}),
    ...(typeof word === 'string' && word !== '' ? { stopReason: word } : {}),
    ...(typeof cached === 'number' ? { cachedTokens: cached } : {}),
  };
}

/** `none` at the end means that something other than the text ended it. */
function finishReasonOf(stopType: unknown): string {
  if (stopType === 'eos' || stopType === 'word') return 'stop';
  return stopType === 'limit' ? 'length' : 'abort';
}

function logprobsOf(probabilities: unknown): JsonObject | undefined {
  if (!Array.isArray(probabilities)) return undefined;
  const content = probabilities.filter(isJsonObject).map((entry) => {
    const top: unknown = entry['top_logprobs'];
    return tokenLogprob(logprobOf(entry), Array.isArray(top) ? top.filter(isJsonObject).map(logprobOf) : []);
  });
  return { content };
}

function logprobOf(entry: JsonObject): { token_id: unknown; logprob: unknown } {
  return { token_id: entry['id'] ?? null, logprob: entry['logprob'] ?? null };
}
