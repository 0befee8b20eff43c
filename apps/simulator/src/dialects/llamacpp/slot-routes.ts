import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { badRequest, EngineError } from '../../engine/engine-error.js';
import type { App } from '../../http/app.js';
import type { Exchange } from '../../http/exchange.js';
import { idsOf, isObject, parseJson, stringOf, type JsonObject } from '../../json.js';
import type { LlamaCppOptions } from './llamacpp-options.js';
import type { Slot, Slots } from './slots.js';

/** What the actions on slots need. */
export interface SlotRoutes {
  readonly slots: Slots;
  readonly options: LlamaCppOptions;
  readonly contextLength: number;
  assertLoaded(): void;
}

/** `GET /slots` and `POST /slots/{id}?action=save|restore|erase`. */
export function registerSlots(app: App, routes: SlotRoutes): void {
  const { slots, contextLength } = routes;
  app.route('GET', '/slots', (exchange) => {
    routes.assertLoaded();
    if (exchange.query.has('fail_on_no_slot') && slots.idle === 0) throw new EngineError(503, 'no slot available');
    exchange.send(
      200,
      slots.all.map(({ id, isProcessing, ids }) => ({
        id,
        n_ctx: contextLength,
        speculative: false,
        is_processing: isProcessing,
        n_prompt_tokens_cache: ids.length,
      })),
    );
  });
  app.route('POST', /^\/slots\/[^/]+$/, async (exchange) => {
    routes.assertLoaded();
    const action = ACTIONS[exchange.query.get('action') ?? ''];
    if (action === undefined) throw badRequest('Invalid action');
    const id = Number(exchange.path.slice('/slots/'.length));
    if (!Number.isInteger(id)) throw badRequest('Invalid slot ID');
    slots.find(id);
    const run = action(exchange, routes);
    // An action on a slot that works waits until it is done.
    const slot = await slots.acquire(id, [], exchange.gone);
    try {
      const startedAtMs = performance.now();
      const told = await (await run)(slot);
      exchange.send(200, { id_slot: id, ...told(performance.now() - startedAtMs) });
    } finally {
      slots.release(slot);
    }
  });
}

/** What an action does with its slot, and what it tells of it when it has taken so long. */
type Action = (exchange: Exchange, routes: SlotRoutes) => Promise<(slot: Slot) => Promise<(ms: number) => JsonObject>>;

const ACTIONS: Readonly<Record<string, Action>> = {
  save: async (exchange, routes) => {
    const { filename, path } = await fileOf(exchange, routes);
    return async ({ ids }) => {
      const text = JSON.stringify({ model: routes.options.model, ids });
      await writeFile(path, text);
      return (save_ms) => ({ filename, n_saved: ids.length, n_written: Buffer.byteLength(text), timings: { save_ms } });
    };
  },
  restore: async (exchange, routes) => {
    const { filename, path } = await fileOf(exchange, routes);
    return async (slot) => {
      const text = await readFile(path, 'utf8').catch(() => '');
      const ids = savedIds(text, routes.options.model);
      if (ids === undefined || !routes.slots.fill(slot, ids))
        throw badRequest('Unable to restore slot, no available space in KV cache or invalid slot save file');
      return (restore_ms) => ({
        filename,
        n_restored: ids.length,
        n_read: Buffer.byteLength(text),
        timings: { restore_ms },
      });
    };
  },
  erase:
    async (_, { slots }) =>
    async (slot) => {
      const erased = slot.ids.length;
      slots.clear(slot, 'slot_erased');
      return () => ({ n_erased: erased });
    },
};

async function fileOf(exchange: Exchange, { options }: SlotRoutes): Promise<{ filename: string; path: string }> {
  if (options.storeDir === undefined)
    throw new EngineError(501, 'This server does not support slots action. Start it with `--slot-save-path`');
  const filename = stringOf((await exchange.json())['filename']) ?? '';
  if (!/^[\w-][\w.-]*$/.test(filename)) throw badRequest('Invalid filename', 'filename');
  return { filename, path: join(options.storeDir, filename) };
}

/** Undefined unless it was saved by a server with the same model. */
function savedIds(text: string, model: string): number[] | undefined {
  try {
    const saved = parseJson(text);
    return isObject(saved) && saved['model'] === model ? idsOf(saved['ids']) : undefined;
  } catch {
    return undefined;
  }
}
