/** Counts failures, until there were too many of them within a span of time. */
export class FailureWindow {
  #at: number[] = [];
  #count = 0;
  #isOver = false;

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

  /** Whether there were too many at any time. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Counts one more. @returns whether this is the one that is too many. */
  failed(): boolean {
    this.#count += 1;
    if (this.limit === 0 || this.#isOver) return false;
    const now = this.now();
    this.#at = [...this.#at.filter((at) => now - at < this.windowMs), now].slice(-this.limit);
    this.#isOver = this.#at.length >= this.limit;
    return this.#isOver;
  }
}
