import type { Engine } from '../../engine/engine.js';
import type { App } from '../../http/app.js';
import type { JsonObject } from '../../json.js';

/** `GET /v1/models`: the one model. */
export function registerModels(app: App, engine: Engine, card: JsonObject): void {
  const created = Math.floor(engine.startedAtMs / 1_000);
  app.route('GET', '/v1/models', (exchange) =>
    exchange.send(200, { object: 'list', data: [{ id: engine.options.model, object: 'model', created, ...card }] }),
  );
}
