import { badRequest } from '../../engine/engine-error.js';
import type { Engine } from '../../engine/engine.js';
import { detokenize, tokenize, tokenText } from '../../engine/vocabulary.js';
import type { App } from '../../http/app.js';
import { idsOf, stringOf, type JsonObject } from '../../json.js';
import { registerMetrics, type Metric } from '../openai/exposition.js';
import { registerModels } from '../openai/models.js';
import { chatPrompt } from '../vllm/chat.js';
import { loadingError } from './error-body.js';
import type { Slots } from './slots.js';

/** What a llama-server has besides inference and its slots. */
export function registerTools(app: App, engine: Engine, slots: Slots, assertLoaded: () => void): void {
  for (const path of ['/health', '/v1/health'])
    app.route('GET', path, (exchange) => {
      assertLoaded();
      if (engine.faults.find('health_503') !== undefined) throw loadingError();
      exchange.send(200, { status: 'ok' });
    });
  app.route('GET', '/props', (exchange) => {
    assertLoaded();
    exchange.send(200, propsOf(engine, slots));
  });
  const convert = (path: string, turn: (body: JsonObject) => JsonObject): void =>
    app.route('POST', path, async (exchange) => {
      assertLoaded();
      exchange.send(200, turn(await exchange.json()));
    });
  convert('/tokenize', tokenized);
  convert('/detokenize', ({ tokens }) => {
    const ids = idsOf(tokens);
    if (ids === undefined) throw badRequest('tokens must be a list of token ids', 'tokens');
    return { content: detokenize(ids) };
  });
  convert('/apply-template', (body) => ({ prompt: chatPrompt(body) }));
  registerModels(app, engine, { owned_by: 'llamacpp', meta: { n_ctx_train: engine.options.maxModelLen } });
  registerMetrics(app, ['/metrics'], () => metricsOf(engine, slots));
}

const propsOf = ({ options }: Engine, slots: Slots): JsonObject => ({
  default_generation_settings: { n_ctx: options.maxModelLen, params: {} },
  total_slots: slots.all.length,
  model_path: options.model,
  chat_template: '',
  modalities: { vision: false, audio: false },
  build_info: 'b0-simulator',
  is_sleeping: false,
});

function tokenized(body: JsonObject): JsonObject {
  const tokens = tokenize(stringOf(body['content']) ?? '');
  if (body['with_pieces'] !== true) return { tokens };
  return { tokens: tokens.map((id) => ({ id, piece: tokenText(id) })) };
}

function metricsOf({ scheduler, counts }: Engine, slots: Slots): Metric[] {
  const busy = slots.all.length - slots.idle;
  const gauge = (name: string, help: string, value: number): Metric => ({ name, type: 'gauge', help, value });
  const counter = (name: string, help: string, value: number): Metric => ({ name, type: 'counter', help, value });
  return [
    counter('llamacpp:prompt_tokens_total', 'Number of prompt tokens processed.', counts.promptTokens),
    counter('llamacpp:tokens_predicted_total', 'Number of generation tokens processed.', counts.generationTokens),
    counter('llamacpp:n_busy_slots_per_decode', 'Average number of busy slots per decode call.', busy),
    gauge('llamacpp:requests_processing', 'Number of requests processing.', busy),
    gauge('llamacpp:requests_deferred', 'Number of requests deferred.', scheduler.waiting + slots.waiting),
  ];
}
