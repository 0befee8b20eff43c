import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ReadinessService } from '../health/readiness.service.js';

/** Answers that are made during a drain are the last of their connections: clients open the next one elsewhere. */
export function closeConnectionsWhileDraining(app: NestFastifyApplication): void {
  const readiness = app.get(ReadinessService);
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (_request, reply, done) => {
      if (readiness.isDraining) void reply.header('connection', 'close');
      done();
    });
}
