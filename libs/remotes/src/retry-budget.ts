/** How much a {@link RetryBudget} gives. */
export interface RetryBudgetOptions {
  /** Retries per hundred requests. Default 20. */
  readonly percent?: number;
  /** Retries that are free in each second, so that a quiet instance may retry at all. Default 10. */
  readonly perSecond?: number;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
}

/** What one retry costs: with a hundred, a request deposits its percentage as a whole number. */
const RETRY = 100;
const SECOND_MS = 1_000;
/** Requests of long ago pay for no retries: after a quiet hour an outage must not meet an hour's savings. */
const DEPOSIT_SECONDS = 10;

/**
 * Bounds retries, so that they cannot multiply the load on remotes that fail because of it. In any span of time there
 * are at most `percent` retries per hundred requests (of that span and the ten seconds before it), plus `perSecond` for
 * each second, plus one second's worth at once.
 */
export class RetryBudget {
  readonly #percent: number;
  readonly #perSecond: number;
  readonly #now: () => number;
  /** What requests have deposited, by the second; the oldest first. */
  readonly #deposits: { readonly second: number; amount: number }[] = [];
  #free: number;
  #filledAt: number;

  constructor({ percent = 20, perSecond = 10, now = () => performance.now() }: RetryBudgetOptions = {}) {
    this.#percent = percent;
    this.#perSecond = perSecond;
    this.#now = now;
    this.#free = perSecond * RETRY;
    this.#filledAt = now();
  }

  /** A request came: it pays for its share of a retry. */
  request(): void {
    const second = Math.floor(this.#now() / SECOND_MS);
    const last = this.#deposits.at(-1);
    if (last?.second === second) last.amount += this.#percent;
    else this.#deposits.push({ second, amount: this.#percent });
    this.#dropOld(second);
  }

  /** Whether one more retry may be made; if so, it is paid for. */
  take(): boolean {
    if (this.#balance() < RETRY) return false;
    const missing = this.#spendDeposits(RETRY);
    this.#free -= missing;
    return true;
  }

  /** How many more retries may be made at this moment. */
  get remaining(): number {
    return Math.floor(this.#balance() / RETRY);
  }

  #balance(): number {
    const now = this.#now();
    this.#dropOld(Math.floor(now / SECOND_MS));
    this.#fill(now);
    return this.#deposits.reduce((sum, { amount }) => sum + amount, this.#free);
  }

  #fill(now: number): void {
    const earned = ((now - this.#filledAt) / SECOND_MS) * this.#perSecond * RETRY;
    this.#free = Math.min(this.#free + earned, this.#perSecond * RETRY);
    this.#filledAt = now;
  }

  #dropOld(second: number): void {
    while ((this.#deposits[0]?.second ?? second) <= second - DEPOSIT_SECONDS) this.#deposits.shift();
  }

  /** Spends the oldest first, since they are the next to be worth nothing. Returns what they did not cover. */
  #spendDeposits(cost: number): number {
    let missing = cost;
    for (const deposit of this.#deposits) {
      const spent = Math.min(deposit.amount, missing);
      deposit.amount -= spent;
      missing -= spent;
    }
    return missing;
  }
}
