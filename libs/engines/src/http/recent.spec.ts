import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Recent } from './recent.js';

describe('Recent', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('asks once for all who wait, and again when the answer is old', async () => {
    let asked = 0;
    const answers: ((value: number) => void)[] = [];
    const recent = new Recent(() => new Promise<number>((resolve) => answers.push(resolve) && (asked += 1)), 1_000);
    expect(recent.last).toBeUndefined();

    const first = [recent.get(), recent.get()];
    expect(asked).toBe(1);
    jest.advanceTimersByTime(5_000);
    answers[0]?.(1);
    expect(await Promise.all(first)).toEqual([1, 1]);

    jest.advanceTimersByTime(999);
    expect(await recent.get()).toBe(1);
    expect(asked).toBe(1);

    jest.advanceTimersByTime(1);
    const second = recent.get();
    expect(asked).toBe(2);
    expect(recent.last).toBe(1);
    answers[1]?.(2);
    expect(await second).toBe(2);
    expect(recent.last).toBe(2);
  });
});
