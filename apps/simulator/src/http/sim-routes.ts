import { badRequest } from '../engine/engine-error.js';
import type { Engine } from '../engine/engine.js';
import { readFaults } from '../faults/read-faults.js';
import { parseJson } from '../json.js';
import type { App } from './app.js';
import type { Journal } from './journal.js';

/** What a test asks of the simulator and no engine server has. */
export function registerSimRoutes(app: App, engine: Engine, journal: Journal): void {
  app.route('GET', '/sim/ledger', (exchange) => exchange.send(200, engine.ledger.snapshot()));
  app.route('GET', '/sim/kv', (exchange) => exchange.send(200, engine.ledger.lives.all));
  app.route('DELETE', '/sim/kv', (exchange) => {
    engine.ledger.lives.forgetEnded();
    exchange.send(204, undefined);
  });
  app.route('GET', '/sim/requests', (exchange) => exchange.send(200, journal.records));
  app.route('DELETE', '/sim/requests', (exchange) => {
    journal.clear();
    exchange.send(204, undefined);
  });
  app.route('GET', '/sim/faults', (exchange) => exchange.send(200, engine.faults.all));
  app.route('PUT', '/sim/faults', async (exchange) => {
    engine.faults.replace(readFaults(parsed(await exchange.body())));
    exchange.send(200, engine.faults.all);
  });
  app.route('DELETE', '/sim/faults', (exchange) => {
    engine.faults.replace([]);
    exchange.send(204, undefined);
  });
  app.route('GET', '/sim/state', (exchange) =>
    exchange.send(200, {
      running: engine.scheduler.running,
      waiting: engine.scheduler.waiting,
      // This call is one itself.
      openRequests: app.open - 1,
      openSockets: app.sockets,
      blocksTotal: engine.ledger.blocks,
      blocksFree: engine.ledger.blocksFree,
      counts: engine.counts,
      admissionRejections: engine.scheduler.rejections,
      transfer:
        engine.kv === undefined ? null : { name: engine.kv.name, ...engine.kv.addresses, counts: engine.kv.counts },
      uptimeMs: Date.now() - engine.startedAtMs,
      memory: process.memoryUsage(),
    }),
  );
}

function parsed(body: Buffer): unknown {
  try {
    return parseJson(body.toString('utf8'));
  } catch (error) {
    throw badRequest(`The body is not JSON: ${String(error)}`);
  }
}
