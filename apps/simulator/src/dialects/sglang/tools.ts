import { badRequest } from '../../engine/engine-error.js';
import type { Engine } from '../../engine/engine.js';
import { detokenize, tokenize } from '../../engine/vocabulary.js';
import type { App } from '../../http/app.js';
import { idsOf, type JsonObject } from '../../json.js';
import { registerMetrics, type Metric } from '../openai/exposition.js';
import { registerModels } from '../openai/models.js';
import { chatPrompt } from '../vllm/chat.js';
import type { SglangOptions } from './sglang-options.js';

/** What an SGLang server has besides inference. */
export function registerTools(app: App, engine: Engine, options: SglangOptions): void {
  const { maxModelLen } = engine.options;
  for (const path of ['/health', '/health_generate'])
    app.route('GET', path, (exchange) =>
      exchange.send(engine.faults.find('health_503') === undefined ? 200 : 503, undefined),
    );
  const modelInfo = {
    model_path: options.model,
    tokenizer_path: options.model,
    is_generation: true,
    weight_version: 'default',
  };
  for (const path of ['/get_model_info', '/model_info'])
    app.route('GET', path, (exchange) => exchange.send(200, modelInfo));
  for (const path of ['/get_server_info', '/server_info'])
    app.route('GET', path, (exchange) => exchange.send(200, serverInfo(engine, options)));
  app.route('GET', '/get_load', (exchange) => exchange.send(200, loads(engine)));
  for (const method of ['GET', 'POST'])
    app.route(method, '/flush_cache', (exchange) => exchange.send(200, 'Cache flushed.\n'));
  registerModels(app, engine, { owned_by: 'sglang', root: options.model, max_model_len: maxModelLen });
  app.route('POST', '/tokenize', async (exchange) => exchange.send(200, tokenized(await exchange.json(), engine)));
  app.route('POST', '/detokenize', async (exchange) => exchange.send(200, detokenized(await exchange.json())));
  registerMetrics(app, ['/metrics'], () => metricsOf(engine));
}

const serverInfo = ({ options, scheduler, ledger }: Engine, { role, streamOutput }: SglangOptions): JsonObject => ({
  model_path: options.model,
  disaggregation_mode: role === 'both' ? 'null' : role,
  stream_output: streamOutput === true,
  dp_size: options.dataParallelSize,
  max_running_requests: options.maxRunning,
  max_total_num_tokens: ledger.blocks * ledger.blockTokens,
  page_size: ledger.blockTokens,
  internal_states: [{ num_running_reqs: scheduler.running, num_queue_reqs: scheduler.waiting }],
  version: '0.0.0+simulator',
});

const loads = ({ options, scheduler, ledger }: Engine): JsonObject[] =>
  Array.from({ length: options.dataParallelSize }, (_, rank) => ({
    dp_rank: rank,
    num_reqs: scheduler.runningOn(rank) + (rank === 0 ? scheduler.waiting : 0),
    num_waiting_reqs: rank === 0 ? scheduler.waiting : 0,
    num_tokens: (ledger.blocks - ledger.blocksFree) * ledger.blockTokens,
  }));

function tokenized(body: JsonObject, engine: Engine): JsonObject {
  const { prompt } = body;
  const texts = body['messages'] === undefined ? prompt : chatPrompt(body);
  const list: readonly unknown[] = Array.isArray(texts) ? texts : [texts];
  const tokens = list.map((text) => {
    if (typeof text !== 'string') throw badRequest('prompt must be a string or a list of strings.', 'prompt');
    return tokenize(text);
  });
  const isBatch = Array.isArray(texts);
  const counts = tokens.map(({ length }) => length);
  return {
    tokens: isBatch ? tokens : tokens[0],
    count: isBatch ? counts : counts[0],
    max_model_len: engine.options.maxModelLen,
  };
}

function detokenized({ tokens }: JsonObject): JsonObject {
  const one = idsOf(tokens);
  if (one !== undefined) return { text: detokenize(one) };
  const several = Array.isArray(tokens) ? tokens.map(idsOf) : [undefined];
  if (several.some((ids) => ids === undefined)) throw badRequest('tokens must be a list of token ids.', 'tokens');
  return { text: several.map((ids) => detokenize(ids ?? [])) };
}

function metricsOf({ options, scheduler, ledger, counts }: Engine): Metric[] {
  const labels = `model_name="${options.model}"`;
  const usage = ledger.blocks === 0 ? 0 : 1 - ledger.blocksFree / ledger.blocks;
  return [
    { name: 'sglang:num_running_reqs', type: 'gauge', help: 'Running requests.', value: scheduler.running, labels },
    { name: 'sglang:num_queue_reqs', type: 'gauge', help: 'Requests in the queue.', value: scheduler.waiting, labels },
    { name: 'sglang:token_usage', type: 'gauge', help: 'KV cache usage, 1 is all of it.', value: usage, labels },
    {
      name: 'sglang:prompt_tokens_total',
      type: 'counter',
      help: 'Prefill tokens.',
      value: counts.promptTokens,
      labels,
    },
    {
      name: 'sglang:generation_tokens_total',
      type: 'counter',
      help: 'Generated tokens.',
      value: counts.generationTokens,
      labels,
    },
    {
      name: 'sglang:cache_config_info',
      type: 'gauge',
      help: 'The KV cache.',
      value: 1,
      labels: `${labels},page_size="${ledger.blockTokens}",num_pages="${ledger.blocks}"`,
    },
  ];
}
