import { InFlight } from '@baton/coordination';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { INSTANCE_CONFIG } from '../config/config.token.js';
import { InstanceConfig } from '../config/instance-config.js';
import { ReadinessService } from '../health/readiness.service.js';

/**
 * Lets open answers end before anything they need is taken away. `app.close()` is enough: this hook runs first,
 * while the server still answers health checks, and everything else is stopped in later hooks.
 */
@Injectable()
export class DrainService implements OnModuleDestroy {
  readonly #timeoutMs: number;
  readonly #delayMs: number;
  #drained: Promise<void> | undefined;

  constructor(
    private readonly readiness: ReadinessService,
    private readonly inFlight: InFlight,
    @Inject(INSTANCE_CONFIG) config: InstanceConfig,
  ) {
    this.#timeoutMs = config.server.drainTimeoutMs;
    this.#delayMs = config.server.drainDelayMs;
  }

  /**
   * Makes the instance not ready at once; when balancers have had `server.drainDelayMs` to notice, refuses new requests.
   * Waits for those in flight, and ends with an error event what is still open when the time is up.
   *
   * @param timeoutMs for requests in flight. With 0 nobody is waited for, balancers included.
   */
  begin(timeoutMs: number = this.#timeoutMs): Promise<void> {
    this.#drained ??= this.#drain(timeoutMs, timeoutMs === 0 ? 0 : this.#delayMs);
    return this.#drained;
  }

  async #drain(timeoutMs: number, delayMs: number): Promise<void> {
    this.readiness.beginDrain();
    if (delayMs > 0) await sleep(delayMs);
    await this.inFlight.drain(timeoutMs);
  }

  async onModuleDestroy(): Promise<void> {
    await this.begin();
  }
}
