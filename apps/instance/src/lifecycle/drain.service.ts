import { InFlight } from '@baton/coordination';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { INSTANCE_CONFIG } from '../config/config.token.js';
import { InstanceConfig } from '../config/instance-config.js';
import { ReadinessService } from '../health/readiness.service.js';

/**
 * Lets open answers end before anything they need is taken away. `app.close()` is enough: this hook runs first,
 * while the server still answers health checks, and everything else is stopped in later hooks.
 */
@Injectable()
export class DrainService implements OnModuleDestroy {
  #timeoutMs: number;
  #drained: Promise<void> | undefined;

  constructor(
    private readonly readiness: ReadinessService,
    private readonly inFlight: InFlight,
    @Inject(INSTANCE_CONFIG) config: InstanceConfig,
  ) {
    this.#timeoutMs = config.server.drainTimeoutMs;
  }

  /**
   * Makes the instance not ready and refuses new requests, at once. Waits for those in flight, and ends with an
   * error event what is still open when the time is up.
   */
  begin(timeoutMs: number = this.#timeoutMs): Promise<void> {
    this.readiness.beginDrain();
    this.inFlight.refuseNew();
    this.#drained ??= this.inFlight.drain(timeoutMs);
    return this.#drained;
  }

  async onModuleDestroy(): Promise<void> {
    await this.begin();
  }
}
