import { Global, Module, type DynamicModule } from '@nestjs/common';
import type { Logger } from 'pino';
import { LOGGER } from './logger.token.js';

/** The log, for those who write lines with fields of their own. */
@Global()
@Module({})
export class LogModule {
  static forRoot(logger: Logger): DynamicModule {
    return { module: LogModule, providers: [{ provide: LOGGER, useValue: logger }], exports: [LOGGER] };
  }
}
