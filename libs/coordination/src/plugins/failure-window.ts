/** Counts failures, and says when there were too many of them within a span of time. */
export class FailureWindow {
  #at: number[] = [];
  #count = 0;

  /** @param limit failures within `windowMs` that are too many; 0: there never are. */
  constructor(
    readonly limit: number,
    private readonly windowMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** All that were counted. */
  get count(): number {
    return this.#count;
  }

  /** Counts one more. @returns whether these are too many now. */
  failed(): boolean {
    this.#count += 1;
    if (this.limit === 0) return false;
    const now = this.now();
    this.#at = [...this.#at.filter((at) => now - at < this.windowMs), now].slice(-this.limit);
    return this.#at.length >= this.limit;
  }

  /** Forgets when, not how many. */
  reset(): void {
    this.#at = [];
  }
}
