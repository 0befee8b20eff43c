import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 20;
const SAMPLE_MS = 500;
/** How many samples are remembered: 5 s of a loop that is in time. */
const SAMPLES = 10;
const NANOSECONDS_PER_MS = 1e6;

/** How late the event loop has been lately. */
@Injectable()
export class EventLoopWatch implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  /** The longest delay of each sample, the latest last. */
  readonly #samples: number[] = [];
  #sampling: NodeJS.Timeout | undefined;

  /** The longest delay within the last 5 s at least, in ms. */
  get longestDelayMs(): number {
    return Math.max(this.#currentMs, ...this.#samples);
  }

  /** What blocked the loop while the engine was loading is nothing that a client could notice. */
  onApplicationBootstrap(): void {
    this.#histogram.enable();
    this.#sampling = setInterval(() => this.#sample(), SAMPLE_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.#sampling);
    this.#histogram.disable();
  }

  /** Whether the loop was later than `ms` in each of the last `samples` half seconds. One good half second is enough. */
  isLaterThan(ms: number, samples: number): boolean {
    const last = this.#samples.slice(-samples);
    return last.length === samples && last.every((delayMs) => delayMs > ms);
  }

  #sample(): void {
    this.#samples.push(this.#currentMs);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#histogram.reset();
  }

  /** What the histogram records is the time between two ticks, not only their delay. */
  get #currentMs(): number {
    return this.#histogram.count === 0 ? 0 : Math.max(0, this.#histogram.max / NANOSECONDS_PER_MS - RESOLUTION_MS);
  }
}
