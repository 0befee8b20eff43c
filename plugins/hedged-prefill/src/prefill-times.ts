/** So many prefills are remembered. */
const REMEMBERED = 256;
const QUANTILE = 0.95;

/** How long prefills have taken lately. */
export class PrefillTimes {
  readonly #times: number[] = [];
  #next = 0;

  /** @param enough with fewer, nothing is said. */
  constructor(private readonly enough: number) {}

  /** A prefill took so long, in ms; or it was left after so long, and would have taken longer. */
  record(tookMs: number): void {
    this.#times[this.#next] = tookMs;
    this.#next = (this.#next + 1) % REMEMBERED;
  }

  /** What 95 % of the last ones have taken at most, in ms; Infinity when too few are known. */
  get usualMs(): number {
    if (this.#times.length < this.enough) return Infinity;
    const sorted = [...this.#times].sort((a, b) => a - b);
    return sorted[Math.ceil(sorted.length * QUANTILE) - 1] ?? Infinity;
  }
}
