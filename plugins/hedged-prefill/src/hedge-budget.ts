/** So many hedges may be saved up by requests that needed none. */
const MAX_SAVED = 10;

/** Keeps second attempts to a share of the requests: where every instance is slow, more work makes it worse. */
export class HedgeBudget {
  readonly #share: number;
  /** The first slow request of all may be hedged. */
  #saved = 1;

  /** @param maxPercent of the requests, 0 to 100. */
  constructor(maxPercent: number) {
    this.#share = maxPercent / 100;
  }

  /** A request has come. */
  request(): void {
    this.#saved = Math.min(MAX_SAVED, this.#saved + this.#share);
  }

  /** Whether one more may be hedged; if so, that is booked. */
  take(): boolean {
    if (this.#share === 0 || this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}
