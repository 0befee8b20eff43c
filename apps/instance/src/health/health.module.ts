import { Module } from '@nestjs/common';
import { EventLoopWatch } from './event-loop-watch.js';
import { HealthController } from './health.controller.js';
import { ReadinessService } from './readiness.service.js';

/** Liveness and readiness. */
@Module({
  controllers: [HealthController],
  providers: [EventLoopWatch, ReadinessService],
  exports: [ReadinessService],
})
export class HealthModule {}
