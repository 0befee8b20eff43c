import { CoordinationObserver } from '@baton/coordination';
import type { Engine } from '@baton/engines';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { Subject } from 'rxjs';
import { AppModule } from './app.module.js';
import { configWarnings } from './config/config-warnings.js';
import type { InstanceConfig } from './config/instance-config.js';
import { createEngine } from './engine/create-engine.js';
import { ConnectionLimit } from './http/connection-limit.js';
import { createAdapter } from './http/create-adapter.js';
import type { HttpExchange } from './http/http-exchange.js';
import { closeConnectionsWhileDraining } from './lifecycle/close-while-draining.js';
import { logExchange } from './log/access-log.js';
import { createLogger } from './log/create-logger.js';
import { NestLogger } from './log/nest-logger.js';
import { HttpMetrics } from './metrics/http-metrics.js';
import { serveDocument } from './openapi/serve-document.js';
import { Gatekeeper } from './security/gatekeeper.js';

/** Parts of an instance that tests and other programs bring themselves. */
export interface InstanceParts {
  /** Default: the engine that the configuration names. */
  readonly engine?: Engine;
  /** Default: JSON lines on standard output. */
  readonly logger?: Logger;
}

/**
 * Puts an instance together. It is not started: `listen()` or `init()` loads the engine, `close()` drains and stops.
 */
export async function createInstance(
  config: InstanceConfig,
  parts: InstanceParts = {},
): Promise<NestFastifyApplication> {
  const logger = parts.logger ?? createLogger(config.log);
  for (const warning of configWarnings(config)) logger.warn(warning);
  const engine =
    parts.engine ?? createEngine(config, (level, message) => logger[level]({ context: 'llama.cpp' }, message));
  const exchanges = new Subject<HttpExchange>();
  const connections = ConnectionLimit.ofProcess(config.server.maxConnections);
  const gatekeeper = new Gatekeeper(config.security);
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.forRoot(config, engine, logger, connections),
    createAdapter(config.server, logger, (exchange) => exchanges.next(exchange), {
      keepsLargeArrays: config.engine.kind !== 'embedded',
      connections,
      admit: (request) => gatekeeper.admit(request),
    }),
    { abortOnError: false, bodyParser: false, logger: new NestLogger(logger) },
  );
  const metrics = app.get(HttpMetrics);
  exchanges.subscribe((exchange) => {
    metrics.record(exchange);
    logExchange(logger, exchange);
  });
  const observer = app.get(CoordinationObserver);
  gatekeeper.refusals.subscribe((reason) => observer.rejected(reason));
  closeConnectionsWhileDraining(app);
  serveDocument(app);
  return app;
}
