import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RetryBudget } from './retry-budget.js';

/** A budget and the clock that it goes by. */
function budgetOf(percent: number, perSecond: number): { budget: RetryBudget; pass: (ms: number) => void } {
  let now = 1_000_000;
  const budget = new RetryBudget({ percent, perSecond, now: () => now });
  return { budget, pass: (ms) => (now += ms) };
}

const takeAll = (budget: RetryBudget): number => {
  let taken = 0;
  while (taken < 10_000 && budget.take()) taken++;
  return taken;
};

describe('RetryBudget', () => {
  it('lets a share of the requests be retried', () => {
    const { budget } = budgetOf(20, 0);
    for (let count = 0; count < 49; count++) budget.request();
    expect(takeAll(budget)).toBe(9);
    budget.request();
    expect(takeAll(budget)).toBe(1);
  });

  it('lets a quiet instance retry, one second at once, and again as time passes', () => {
    const { budget, pass } = budgetOf(0, 10);
    expect(takeAll(budget)).toBe(10);
    pass(500);
    expect(takeAll(budget)).toBe(5);
    pass(60_000);
    expect(takeAll(budget)).toBe(10);
  });

  it('gives nothing for requests of long ago', () => {
    const { budget, pass } = budgetOf(100, 0);
    for (let count = 0; count < 5; count++) budget.request();
    pass(5_000);
    for (let count = 0; count < 3; count++) budget.request();
    pass(5_000);
    expect(takeAll(budget)).toBe(3);
    pass(10_000);
    budget.request();
    expect(takeAll(budget)).toBe(1);
  });

  it('gives nothing at all when it is told so', () => {
    const { budget, pass } = budgetOf(0, 0);
    budget.request();
    pass(10_000);
    expect(budget.take()).toBe(false);
  });

  it('tells how much it gives yet, and telling costs nothing', () => {
    const { budget, pass } = budgetOf(20, 2);
    expect([budget.remaining, budget.remaining]).toEqual([2, 2]);
    for (let count = 0; count < 14; count++) budget.request();
    expect(budget.remaining).toBe(4);
    budget.take();
    expect(budget.remaining).toBe(3);
    takeAll(budget);
    expect(budget.remaining).toBe(0);
    pass(60_000);
    expect(budget.remaining).toBe(2);
  });

  it('has defaults and a clock of its own', () => {
    expect(takeAll(new RetryBudget())).toBeGreaterThanOrEqual(10);
  });

  it('never gives more than the share of the requests, what is free in the time, and a second of it at once', () => {
    const step = fc.oneof(
      fc.constant('request' as const),
      fc.constant('take' as const),
      fc.record({ pass: fc.integer({ min: 0, max: 4_000 }) }),
    );
    const options = fc.record({
      percent: fc.integer({ min: 0, max: 100 }),
      perSecond: fc.integer({ min: 0, max: 20 }),
    });
    fc.assert(
      fc.property(options, fc.array(step, { maxLength: 400 }), ({ percent, perSecond }, steps) => {
        const { budget, pass } = budgetOf(percent, perSecond);
        let [requests, retries, elapsedMs] = [0, 0, 0];
        for (const each of steps) {
          if (each === 'request') {
            budget.request();
            requests++;
          } else if (each === 'take') {
            retries += budget.take() ? 1 : 0;
          } else {
            pass(each.pass);
            elapsedMs += each.pass;
          }
          const bound = (requests * percent) / 100 + perSecond * (elapsedMs / 1_000) + perSecond;
          expect(retries).toBeLessThanOrEqual(bound + 1e-6);
        }
      }),
    );
  });
});
