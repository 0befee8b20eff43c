import type { Engine } from '@baton/engines';
import { Module, type DynamicModule } from '@nestjs/common';
import { LimitsConfig } from '../config/limits-config.js';
import { EngineLifecycle } from './engine-lifecycle.js';
import { EngineRequestCheck } from './engine-request-check.js';
import { ENGINE } from './engine.token.js';

/** The engine, started and stopped with the application, and what may be asked of it. */
@Module({})
export class EngineModule {
  static forRoot(engine: Engine, limits = new LimitsConfig()): DynamicModule {
    return {
      module: EngineModule,
      global: true,
      providers: [
        { provide: ENGINE, useValue: engine },
        { provide: LimitsConfig, useValue: limits },
        EngineLifecycle,
        EngineRequestCheck,
      ],
      exports: [ENGINE, EngineRequestCheck, LimitsConfig],
    };
  }
}
