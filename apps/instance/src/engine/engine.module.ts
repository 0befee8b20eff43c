import type { Engine } from '@baton/engines';
import { Module, type DynamicModule } from '@nestjs/common';
import { EngineLifecycle } from './engine-lifecycle.js';
import { EngineRequestCheck } from './engine-request-check.js';
import { ENGINE } from './engine.token.js';

/** The engine, started and stopped with the application. */
@Module({})
export class EngineModule {
  static forRoot(engine: Engine): DynamicModule {
    return {
      module: EngineModule,
      global: true,
      providers: [{ provide: ENGINE, useValue: engine }, EngineLifecycle, EngineRequestCheck],
      exports: [ENGINE, EngineRequestCheck],
    };
  }
}
