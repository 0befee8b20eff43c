import { badRequest } from '../../engine/engine-error.js';
import type { Engine } from '../../engine/engine.js';
import { detokenize, tokenize, tokenText } from '../../engine/vocabulary.js';
import type { App } from '../../http/app.js';
import { idsOf, stringOf, type JsonObject } from '../../json.js';
import type { DialectOptions } from '../dialect.js';
import { chatPrompt } from './chat.js';
import { assertModel } from './leg.js';
import { metricsText } from './metrics.js';

/** What `GET /version` says: the protocols are those of this version of vLLM, as far as they are simulated. */
export const VERSION = '0.32.0+simulator';

/** What a vLLM server has besides inference. */
export function registerTools(app: App, engine: Engine, options: DialectOptions): void {
  const healthy = (): boolean => engine.faults.find('health_503') === undefined;
  for (const path of ['/health', '/ping'])
    app.route('GET', path, (exchange) => exchange.send(healthy() ? 200 : 503, undefined));
  app.route('POST', '/ping', (exchange) => exchange.send(healthy() ? 200 : 503, undefined));
  app.route('GET', '/load', (exchange) => exchange.send(200, { server_load: engine.runs.size }));
  app.route('GET', '/version', (exchange) => exchange.send(200, { version: VERSION }));
  app.route('GET', '/metrics', (exchange) =>
    exchange.send(200, metricsText(engine), { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }),
  );
  app.route('GET', '/v1/models', (exchange) =>
    exchange.send(200, { object: 'list', data: [modelCard(engine, options)] }),
  );
  app.route('GET', /^\/v1\/models\/./, (exchange) => {
    assertModel({ model: decodeURIComponent(exchange.path.slice('/v1/models/'.length)) }, options.model);
    exchange.send(200, modelCard(engine, options));
  });
  if (options.tokensOnly) return;
  app.route('POST', '/tokenize', async (exchange) => {
    const body = await exchange.json();
    assertModel(body, options.model);
    exchange.send(200, tokenized(body, engine));
  });
  app.route('POST', '/detokenize', async (exchange) => {
    const body = await exchange.json();
    assertModel(body, options.model);
    const tokens = idsOf(body['tokens']);
    if (tokens === undefined) throw badRequest('tokens must be a list of token ids.', 'tokens');
    exchange.send(200, { prompt: detokenize(tokens) });
  });
}

function tokenized(body: JsonObject, engine: Engine): JsonObject {
  const text = body['messages'] === undefined ? stringOf(body['prompt']) : chatPrompt(body);
  if (text === undefined) throw badRequest('Either prompt or messages is required.', 'prompt');
  const tokens = tokenize(text);
  return {
    count: tokens.length,
    max_model_len: engine.options.maxModelLen,
    tokens,
    token_strs: body['return_token_strs'] === true ? tokens.map(tokenText) : null,
  };
}

const modelCard = (engine: Engine, { model }: DialectOptions): JsonObject => ({
  id: model,
  object: 'model',
  created: Math.floor(engine.startedAtMs / 1_000),
  owned_by: 'vllm',
  root: model,
  parent: null,
  max_model_len: engine.options.maxModelLen,
  permission: [],
});
