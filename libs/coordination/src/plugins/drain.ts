import { setMaxListeners } from 'node:events';
import { Injectable } from '@nestjs/common';
import { InFlight } from '../http/in-flight.js';
import { HandoffLedger } from '../ledger/handoff-ledger.js';

/** Waits until nothing uses any more what was taken out of use. */
@Injectable()
export class Drain {
  readonly #cut = new AbortController();

  constructor(
    private readonly inFlight: InFlight,
    private readonly ledger: HandoffLedger,
  ) {
    // As many as may wait at once.
    setMaxListeners(0, this.#cut.signal);
  }

  /**
   * Until every request that has begun by now is over, and nothing is owed of what they left.
   *
   * @returns whether that was so within `timeoutMs`.
   */
  async ended(timeoutMs: number): Promise<boolean> {
    const { signal } = this.#cut;
    const until = performance.now() + timeoutMs;
    const areOver = await this.inFlight.settled(timeoutMs, signal);
    return areOver && this.ledger.settled(Math.max(1, until - performance.now()), signal);
  }

  /** Nothing is waited for any more: the application ends. */
  cut(): void {
    this.#cut.abort();
  }
}
