import type { Dialect } from './dialect.js';
import { openAiCall } from './openai.dialect.js';

/**
 * vLLM's OpenAI server. Its public abort knows the requests of the token endpoint only, under the id that it makes of
 * `x-request-id`; on the other paths closing the connection is the abort.
 * Source: vLLM `entrypoints/scale_out/token_in_token_out`, #58588.
 */
export const vllmDialect: Dialect = {
  name: 'vllm',
  call: openAiCall,
  abort: (leg) =>
    leg.api === 'generate'
      ? { path: '/inference/v1/abort_requests', body: { request_ids: [`generate-tokens-${leg.id}`] } }
      : undefined,
  healthPath: '/health',
  metrics: {
    waiting: 'vllm:num_requests_waiting',
    running: 'vllm:num_requests_running',
    kvUsage: 'vllm:kv_cache_usage_perc',
  },
  renders: true,
};
