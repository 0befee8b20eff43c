import type { Endpoint } from '../endpoint.js';
import { Breaker, type BreakerOptions } from './breaker.js';

/** One endpoint of a pool: how many legs it has, and whether it is left alone. */
export class EndpointLoad {
  readonly breaker: Breaker;
  #inFlight = 0;
  /** Of these, legs that only free KV: else each request that is refused took a place from one that is not. */
  #urgent = 0;

  constructor(
    readonly endpoint: Endpoint,
    private readonly maxInFlight: number,
    breaker: BreakerOptions,
  ) {
    this.breaker = new Breaker(breaker);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get hasRoom(): boolean {
    return this.#inFlight - this.#urgent < this.maxInFlight;
  }

  /** Counts a leg. @returns what gives its place back; to be called once. */
  take({ isUrgent = false } = {}): () => void {
    const urgent = isUrgent ? 1 : 0;
    this.#inFlight += 1;
    this.#urgent += urgent;
    const leg = this.breaker.begin();
    return () => {
      this.#inFlight -= 1;
      this.#urgent -= urgent;
      this.breaker.end(leg);
    };
  }
}

/**
 * Those of `loads` that may be given out now. Those that are left alone count only when no other is there: with nobody else
 * to ask, asking costs nothing. Then, and when all others are full, it is waited rather than that more is sent.
 */
export function roomIn(loads: readonly EndpointLoad[]): readonly EndpointLoad[] {
  const used = loads.filter(({ breaker }) => breaker.allows);
  return (used.length > 0 ? used : loads).filter(({ hasRoom }) => hasRoom);
}
