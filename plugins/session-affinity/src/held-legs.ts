import type { Endpoint } from '@baton/remotes';

/** How many legs hold each endpoint, as far as the picker has given them out. Forgets what nobody holds. */
export class HeldLegs {
  // By endpoint, not by name: an instance that is in two pools has a book in each.
  readonly #held = new WeakMap<Endpoint, number>();

  of(endpoint: Endpoint): number {
    return this.#held.get(endpoint) ?? 0;
  }

  take(endpoint: Endpoint): void {
    this.#held.set(endpoint, this.of(endpoint) + 1);
  }

  giveBack(endpoint: Endpoint): void {
    const left = this.of(endpoint) - 1;
    if (left > 0) this.#held.set(endpoint, left);
    else this.#held.delete(endpoint);
  }

  /**
   * How many legs each of `endpoints` may hold when one more is given out: `factor` times the mean, rounded up. With a factor
   * of at least 1 one of them always has room.
   */
  bound(endpoints: readonly Endpoint[], factor: number): number {
    const total = endpoints.reduce((sum, endpoint) => sum + this.of(endpoint), 0);
    return Math.ceil((factor * (total + 1)) / endpoints.length);
  }
}
