import type { Engine } from '../../engine/engine.js';
import type { App } from '../../http/app.js';
import { flatError } from '../../http/error-body.js';
import { faultOf } from '../../http/request-record.js';
import type { Dialect } from '../dialect.js';
import { registerMetrics, type Metric } from '../openai/exposition.js';
import { registerModels } from '../openai/models.js';
import { answerOpenAi } from '../openai/openai-answer.js';
import { legOf } from './disaggregated.js';
import { TrtLlmOpenAi } from './openai.js';
import type { TrtLlmOptions } from './trtllm-options.js';

const APIS = [
  ['/v1/chat/completions', 'chat'],
  ['/v1/completions', 'completions'],
] as const;

/** TensorRT-LLM's `trtllm-serve`. It has no abort call: a request ends when its connection does. */
export const trtllm: Dialect = {
  name: 'trtllm',
  register(app, engine, options: TrtLlmOptions) {
    app.errorBody = flatError;
    app.protects = (path) => path.startsWith('/v1');
    const server = new TrtLlmOpenAi(engine, options);
    for (const [path, api] of APIS)
      app.inference(path, {
        api,
        leg: legOf,
        run: async (answer) => {
          if (faultOf(answer.record, 'admission_503') !== undefined) throw engine.scheduler.overloaded();
          await answerOpenAi(server, api, answer);
        },
      });
    registerTools(app, engine);
  },
};

/** What `trtllm-serve` has besides inference. */
function registerTools(app: App, engine: Engine): void {
  const { kv } = engine;
  app.route('GET', '/health', (exchange) =>
    exchange.send(engine.faults.find('health_503') === undefined ? 200 : 503, undefined),
  );
  app.route('GET', '/version', (exchange) => exchange.send(200, { version: '0.0.0+simulator' }));
  app.route('GET', '/server_info', (exchange) =>
    exchange.send(200, { disaggregated_params: kv === undefined ? null : { ctx_dp_rank: 0, ...kv.addresses } }),
  );
  app.route('GET', '/perf_metrics', (exchange) => exchange.send(200, []));
  registerModels(app, engine, { owned_by: 'tensorrt_llm' });
  registerMetrics(app, ['/metrics', '/prometheus/metrics'], () => metricsOf(engine));
}

function metricsOf({ options, scheduler, ledger }: Engine): Metric[] {
  const labels = `model_name="${options.model}"`;
  const used = ledger.blocks === 0 ? 0 : 1 - ledger.blocksFree / ledger.blocks;
  const gauge = (name: string, help: string, value: number): Metric => ({ name, type: 'gauge', help, value, labels });
  return [
    gauge('trtllm_num_requests_waiting', 'Requests in the queue.', scheduler.waiting),
    gauge('trtllm_num_requests_running', 'Running requests.', scheduler.running),
    gauge('trtllm_kv_cache_utilization', 'KV cache usage, 1 is all of it.', used),
    gauge('trtllm_kv_cache_tokens_per_block', 'Tokens in a block.', ledger.blockTokens),
    gauge('trtllm_kv_cache_max_blocks', 'Blocks.', ledger.blocks),
  ];
}
