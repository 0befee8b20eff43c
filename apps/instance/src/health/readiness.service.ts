import type { Engine } from '@baton/engines';
import { Inject, Injectable } from '@nestjs/common';
import { Readiness } from '../dto/health.js';
import { ENGINE } from '../engine/engine.token.js';
import { EventLoopWatch } from './event-loop-watch.js';

/** A loop that was this late keeps every client waiting. */
const MAX_LOOP_DELAY_MS = 1_000;
const ENGINE_TIMEOUT_MS = 2_000;

/** Whether a balancer should send requests here. */
@Injectable()
export class ReadinessService {
  #isDraining = false;

  constructor(
    @Inject(ENGINE) private readonly engine: Engine,
    private readonly eventLoop: EventLoopWatch,
  ) {}

  /** From now on the instance is not ready. */
  beginDrain(): void {
    this.#isDraining = true;
  }

  async check(): Promise<Readiness> {
    const reason = await this.#reason();
    return reason === undefined ? { status: 'ready' } : { status: 'not_ready', reason };
  }

  async #reason(): Promise<string | undefined> {
    if (this.#isDraining) return 'The instance is shutting down.';
    const delayMs = Math.round(this.eventLoop.longestDelayMs);
    if (delayMs > MAX_LOOP_DELAY_MS) return `The event loop was ${delayMs} ms late.`;
    const health = await withTimeout(this.engine.health());
    if (health === undefined) return `The engine did not say how it is within ${ENGINE_TIMEOUT_MS} ms.`;
    return health.ready ? undefined : (health.reason ?? 'The engine is not ready.');
  }
}

async function withTimeout<T>(promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ENGINE_TIMEOUT_MS);
  });
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}
