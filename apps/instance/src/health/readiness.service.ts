import { Admission, CoordinationObserver, DECODE_POOL, PREFILL_POOL } from '@baton/coordination';
import type { Engine } from '@baton/engines';
import { RemotePool } from '@baton/remotes';
import { Inject, Injectable } from '@nestjs/common';
import { INSTANCE_CONFIG } from '../config/config.token.js';
import { InstanceConfig } from '../config/instance-config.js';
import { Readiness } from '../dto/health.js';
import { ENGINE } from '../engine/engine.token.js';
import type { PrometheusCoordinationObserver } from '../metrics/prometheus-coordination.observer.js';
import { EventLoopWatch } from './event-loop-watch.js';

const ENGINE_TIMEOUT_MS = 2_000;

/**
 * Whether a balancer should send requests here. Whatever keeps it from being ready ends by itself: a delay and failures are
 * forgotten with time, so that an instance that gets no requests any more is tried again.
 */
@Injectable()
export class ReadinessService {
  #isDraining = false;

  constructor(
    @Inject(ENGINE) private readonly engine: Engine,
    private readonly eventLoop: EventLoopWatch,
    private readonly admission: Admission,
    @Inject(CoordinationObserver) private readonly requests: PrometheusCoordinationObserver,
    @Inject(INSTANCE_CONFIG) private readonly config: InstanceConfig,
    @Inject(PREFILL_POOL) private readonly prefill: RemotePool,
    @Inject(DECODE_POOL) private readonly decode: RemotePool,
  ) {}

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** From now on the instance is not ready. */
  beginDrain(): void {
    this.#isDraining = true;
  }

  async check(): Promise<Readiness> {
    const reason = this.#isDraining
      ? 'The instance is shutting down.'
      : (this.#late() ?? this.#full() ?? this.#leftAlone() ?? (await this.#engine()) ?? this.#failing());
    return reason === undefined ? { status: 'ready' } : { status: 'not_ready', reason };
  }

  #late(): string | undefined {
    const delayMs = Math.round(this.eventLoop.longestDelayMs);
    return delayMs > this.config.server.maxLoopDelayMs ? `The event loop was ${delayMs} ms late.` : undefined;
  }

  #full(): string | undefined {
    const { clients } = this.admission.load;
    return clients.isFull
      ? `No more requests are taken: ${clients.inFlight} are being answered and ${clients.waiting} wait.`
      : undefined;
  }

  /** An instance with an engine of its own can do without remote ones. Breakers try again by themselves. */
  #leftAlone(): string | undefined {
    if (this.config.engine.kind !== 'none') return undefined;
    const { prefill, decode } = this;
    const [pool] = Object.entries({ prefill, decode }).flatMap(([name, remotes]) => {
      const states = remotes.states();
      return states.length > 0 && states.every(({ state }) => state === 'open') ? [name] : [];
    });
    return pool === undefined ? undefined : `Every ${pool} endpoint has failed and is left alone for a moment.`;
  }

  async #engine(): Promise<string | undefined> {
    const health = await withTimeout(this.engine.health());
    if (health === undefined) return `The engine did not say how it is within ${ENGINE_TIMEOUT_MS} ms.`;
    if (health.ready) return undefined;
    // It failed requests because of that; once it is well, they say nothing.
    this.requests.recentEnds.forget();
    return health.reason ?? 'The engine is not ready.';
  }

  /** Engines may say that they are well and fail all the same. */
  #failing(): string | undefined {
    const { maxFailures } = this.config.server;
    const { finished, failed } = this.requests.recentEnds.counts;
    return maxFailures > 0 && finished === 0 && failed >= maxFailures
      ? `Within the last minute engines failed ${failed} requests and answered none.`
      : undefined;
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
