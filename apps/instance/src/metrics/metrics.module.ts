import { Module, type DynamicModule } from '@nestjs/common';
import { ConnectionLimit } from '../http/connection-limit.js';
import { createRegistry } from './create-registry.js';
import { HttpMetrics } from './http-metrics.js';
import { MetricsController } from './metrics.controller.js';
import { METRICS_REGISTRY } from './registry.token.js';
import { PluginMetrics } from './plugin-metrics.js';
import { PolicyMetrics } from './policy-metrics.js';
import { ServerMetrics } from './server-metrics.js';

/** The registry, and the route that shows it. */
@Module({})
export class MetricsModule {
  /** @param connections whose number is shown. */
  static forRoot(connections: ConnectionLimit): DynamicModule {
    return {
      module: MetricsModule,
      global: true,
      controllers: [MetricsController],
      providers: [
        { provide: METRICS_REGISTRY, useFactory: createRegistry },
        { provide: ConnectionLimit, useValue: connections },
        HttpMetrics,
        PluginMetrics,
        PolicyMetrics,
        ServerMetrics,
      ],
      exports: [METRICS_REGISTRY, HttpMetrics],
    };
  }
}
