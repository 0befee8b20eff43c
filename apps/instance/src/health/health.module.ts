import { Module, type DynamicModule } from '@nestjs/common';
import { INSTANCE_CONFIG } from '../config/config.token.js';
import type { InstanceConfig } from '../config/instance-config.js';
import { EventLoopShedding } from './event-loop-shedding.js';
import { EventLoopWatch } from './event-loop-watch.js';
import { HealthController } from './health.controller.js';
import { ReadinessService } from './readiness.service.js';

/** Liveness, readiness, and what is refused while the event loop is late. */
@Module({})
export class HealthModule {
  static forRoot(config: InstanceConfig): DynamicModule {
    return {
      module: HealthModule,
      global: true,
      controllers: [HealthController],
      providers: [{ provide: INSTANCE_CONFIG, useValue: config }, EventLoopShedding, EventLoopWatch, ReadinessService],
      exports: [EventLoopShedding, ReadinessService],
    };
  }
}
