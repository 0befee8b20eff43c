import { DIALECTS } from './dialects/dialects.js';
import { Engine } from './engine/engine.js';
import { FaultSet } from './faults/fault-set.js';
import { App } from './http/app.js';
import { Journal } from './http/journal.js';
import { registerSimRoutes } from './http/sim-routes.js';
import type { JsonObject } from './json.js';
import { TRANSFERS } from './kv/transfers.js';
import { KvLedger } from './ledger/kv-ledger.js';
import type { SimulatorOptions } from './options.js';

/** A simulator that listens. */
export interface Simulator {
  readonly url: string;
  readonly port: number;
  /** Ports and ids of its KV transfer. */
  readonly addresses: JsonObject;
  readonly engine: Engine;
  readonly faults: FaultSet;
  close(): Promise<void>;
}

/** Puts a simulator together and starts it. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const log = (message: string, facts: JsonObject): void => {
    if (options.log) process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), message, ...facts })}\n`);
  };
  const dialect = DIALECTS[options.dialect];
  const makeTransfer = TRANSFERS[options.kv];
  if (dialect === undefined) throw new RangeError(`--dialect must be one of ${Object.keys(DIALECTS).join(', ')}`);
  if (makeTransfer === undefined) throw new RangeError(`--kv must be one of ${Object.keys(TRANSFERS).join(', ')}`);

  const ledger = new KvLedger(options.kvBlocks, options.blockTokens);
  const faults = new FaultSet();
  const transfer = makeTransfer({ ...options.transfer, ledger, faults, log });
  const engine = new Engine(options.engine, ledger, faults, transfer, log);
  const journal = new Journal();
  const app = new App({ journal, faults, apiKey: options.apiKey, keepAliveMs: options.keepAliveMs, log });
  dialect.register(app, engine, options.http);
  registerSimRoutes(app, engine, journal);

  await transfer?.start();
  const port = await app.listen(options.port, options.host);
  return {
    url: `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    port,
    addresses: transfer?.addresses ?? {},
    engine,
    faults,
    close: async () => {
      faults.replace([]);
      await Promise.all([app.close(), transfer?.close()]);
      ledger.close();
    },
  };
}
