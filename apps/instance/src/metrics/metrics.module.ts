import { Global, Module } from '@nestjs/common';
import { createRegistry } from './create-registry.js';
import { HttpMetrics } from './http-metrics.js';
import { MetricsController } from './metrics.controller.js';
import { METRICS_REGISTRY } from './registry.token.js';

/** The registry, and the route that shows it. */
@Global()
@Module({
  controllers: [MetricsController],
  providers: [{ provide: METRICS_REGISTRY, useFactory: createRegistry }, HttpMetrics],
  exports: [METRICS_REGISTRY, HttpMetrics],
})
export class MetricsModule {}
