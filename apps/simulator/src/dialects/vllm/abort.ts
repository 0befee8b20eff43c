import { badRequest } from '../../engine/engine-error.js';
import type { Engine } from '../../engine/engine.js';
import type { App } from '../../http/app.js';
import type { DialectOptions } from '../dialect.js';

/** The abort calls: ids that nobody runs are no error, and the abort happens after the answer. */
export function registerAbort(app: App, engine: Engine, { tokensOnly }: DialectOptions): void {
  // The older path exists on token servers alone, and no key guards it.
  for (const path of ['/inference/v1/abort_requests', ...(tokensOnly ? ['/abort_requests'] : [])])
    app.route('POST', path, async (exchange) => {
      const { request_ids: ids } = await exchange.json();
      if (!Array.isArray(ids)) throw badRequest("Missing 'request_ids' in the body.", 'request_ids');
      setImmediate(() => {
        for (const id of ids) engine.abort(String(id));
      });
      exchange.send(200, undefined);
    });
}
