import type { Engine } from '@baton/engines';
import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { ENGINE } from './engine.token.js';

/** Starts the engine before the instance listens, and stops it after the last answer. */
@Injectable()
export class EngineLifecycle implements OnModuleInit, OnApplicationShutdown {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}

  async onModuleInit(): Promise<void> {
    await this.engine.start();
  }

  /** The last hook of a shutdown: the drain came before it, and the server is closed. */
  async onApplicationShutdown(): Promise<void> {
    await this.engine.stop();
  }
}
