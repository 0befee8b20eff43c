import { finishReason, isJsonObject, type InferenceRequest, type JsonObject } from '@baton/inference';
import type { AnswerTranslator, Dialect, DialectCall } from './dialect.js';
import { generateRequest, renameSampling, samplingNumber, unsupported } from './generate-request.js';
import { tokenLogprob, withoutTokenIds } from './generate-translator.js';
import { openAiCall } from './openai.dialect.js';

/** Names of vLLM that the server does not take; it refuses by itself what else it does not know. */
const SAMPLING = {
  renamed: {},
  dropped: ['logprobs', 'structured_outputs'],
  unsupported: ['prompt_logprobs'],
} as const;

/**
 * TensorRT-LLM's `trtllm-serve`. It has no token endpoint, but its completions take token ids and give them when
 * asked not to detokenize, in streams as well. Source: TensorRT-LLM `serve/openai_protocol.py`,
 * `serve/postprocess_handlers.py`.
 */
export const trtLlmDialect: Dialect = {
  name: 'trtllm',
  call: (leg) => (leg.api === 'generate' ? generateCall(leg) : openAiCall(leg)),
  translator: (leg) => (leg.api === 'generate' ? new CompletionsTranslator(leg) : undefined),
  abort: () => undefined,
  healthPath: '/health',
  metrics: {
    waiting: 'trtllm_num_requests_waiting',
    running: 'trtllm_num_requests_running',
    kvUsage: 'trtllm_kv_cache_utilization',
  },
  renders: false,
};

function generateCall(leg: InferenceRequest): DialectCall {
  const { tokenIds, sampling, rest } = generateRequest(leg);
  const { model, stream_options: streamOptions } = leg.body;
  const logprobs = samplingNumber(sampling, 'logprobs');
  const renamed = renameSampling(sampling, SAMPLING);
  return {
    path: '/v1/completions',
    body: {
      ...rest,
      model: typeof model === 'string' ? model : '',
      ...renamed,
      // vLLM's -1 stands for all tokens, which is 0 here; vLLM's 0 logprobs for the sampled token's, which is 1 here.
      ...(renamed['top_k'] === -1 ? { top_k: 0 } : {}),
      ...(logprobs === undefined ? {} : { logprobs: Math.max(1, logprobs) }),
      ...constraintOf(sampling['structured_outputs']),
      prompt: tokenIds,
      detokenize: false,
      stream: leg.stream,
      ...(leg.stream && isJsonObject(streamOptions) ? { stream_options: streamOptions } : {}),
    },
  };
}

function constraintOf(outputs: unknown): JsonObject {
  if (!isJsonObject(outputs)) return {};
  const { json, regex, grammar } = outputs;
  if (isJsonObject(json)) return { response_format: { type: 'json', schema: json } };
  if (outputs['json_object'] === true) return { response_format: { type: 'json_object' } };
  if (typeof regex === 'string') return { response_format: { type: 'regex', regex } };
  if (typeof grammar === 'string') return { response_format: { type: 'ebnf', ebnf: grammar } };
  throw unsupported('sampling_params.structured_outputs');
}

/** Completions with token ids as answers of the token endpoint. */
class CompletionsTranslator implements AnswerTranslator {
  constructor(private readonly leg: InferenceRequest) {}

  whole(body: unknown): JsonObject {
    if (!isJsonObject(body)) return {};
    const { id, choices, model, created, usage, prompt_token_ids: prompt } = body;
    if (!Array.isArray(choices)) return body;
    return {
      request_id: id ?? this.leg.id,
      model,
      created,
      choices: choices.map(choiceOf),
      usage,
      ...(prompt === undefined || prompt === null ? {} : { prompt_token_ids: prompt }),
    };
  }

  event(data: JsonObject): readonly JsonObject[] {
    const { id, choices, usage } = data;
    if (!Array.isArray(choices) || data['error'] !== undefined) return [data];
    const counts = usage === undefined || usage === null ? {} : { usage };
    return [{ request_id: id ?? this.leg.id, choices: choices.map(choiceOf), ...counts }];
  }
}

function choiceOf(choice: unknown): JsonObject {
  if (!isJsonObject(choice) || !Array.isArray(choice['token_ids'])) throw withoutTokenIds();
  const { index, token_ids, stop_reason, logprobs, disaggregated_params } = choice;
  return {
    index,
    token_ids,
    finish_reason: finishReason(choice) ?? null,
    logprobs: logprobsOf(logprobs, token_ids),
    ...(stop_reason === undefined || stop_reason === null ? {} : { stop_reason }),
    ...(disaggregated_params === undefined || disaggregated_params === null ? {} : { disaggregated_params }),
  };
}

/** It names the alternatives by their text, from which no id can be had: the sampled tokens remain. */
function logprobsOf(logprobs: unknown, tokenIds: readonly unknown[]): JsonObject | null {
  const values = isJsonObject(logprobs) ? logprobs['token_logprobs'] : undefined;
  if (!Array.isArray(values)) return null;
  return { content: tokenIds.map((token_id, at) => tokenLogprob({ token_id, logprob: values[at] ?? null }, [])) };
}
