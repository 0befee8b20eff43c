import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 20;
/** How long a delay is remembered, at least. */
const WINDOW_MS = 5_000;
const NANOSECONDS_PER_MS = 1e6;

/** How late the event loop has been lately. */
@Injectable()
export class EventLoopWatch implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #rotation: NodeJS.Timeout | undefined;
  #previousMs = 0;

  /** The longest delay within the last 5 to 10 s, in ms. */
  get longestDelayMs(): number {
    return Math.max(this.#previousMs, this.#currentMs);
  }

  /** What blocked the loop while the engine was loading is nothing that a client could notice. */
  onApplicationBootstrap(): void {
    this.#histogram.enable();
    this.#rotation = setInterval(() => this.#rotate(), WINDOW_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.#rotation);
    this.#histogram.disable();
  }

  #rotate(): void {
    this.#previousMs = this.#currentMs;
    this.#histogram.reset();
  }

  /** What the histogram records is the time between two ticks, not only their delay. */
  get #currentMs(): number {
    return this.#histogram.count === 0 ? 0 : Math.max(0, this.#histogram.max / NANOSECONDS_PER_MS - RESOLUTION_MS);
  }
}
