import { describe, expect, it } from '@jest/globals';
import { HedgeBudget } from './hedge-budget.js';

/** How many of so many requests, all of them slow, are hedged. */
function hedged(budget: HedgeBudget, requests: number): number {
  let taken = 0;
  for (let i = 0; i < requests; i += 1) {
    budget.request();
    if (budget.take()) taken += 1;
  }
  return taken;
}

describe('the budget', () => {
  it.each([
    [0, 0],
    [0.5, 6],
    [25, 251],
    [100, 1_000],
  ])('allows %i %% of 1,000 slow requests', (maxPercent, expected) => {
    const taken = hedged(new HedgeBudget(maxPercent), 1_000);
    // Fractions add up to a little less.
    expect(taken).toBeGreaterThanOrEqual(Math.max(0, expected - 1));
    expect(taken).toBeLessThanOrEqual(expected);
  });

  it('hedges the first slow request of all', () => {
    expect(new HedgeBudget(1).take()).toBe(true);
  });

  it('saves up no more than a few', () => {
    const budget = new HedgeBudget(50);
    for (let i = 0; i < 1_000; i += 1) budget.request();
    let taken = 0;
    while (budget.take()) taken += 1;
    expect(taken).toBe(10);
  });
});
