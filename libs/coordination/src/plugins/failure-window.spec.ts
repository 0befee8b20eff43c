import { expect, it } from '@jest/globals';
import { FailureWindow } from './failure-window.js';

const failures = (limit: number, at: readonly number[]): { window: FailureWindow; tooMany: boolean[] } => {
  let now = 0;
  const window = new FailureWindow(limit, 100, () => now);
  return {
    window,
    tooMany: at.map((time) => {
      now = time;
      return window.failed();
    }),
  };
};

it('says when there were too many within the window', () => {
  expect(failures(3, [0, 50, 99]).tooMany).toEqual([false, false, true]);
});

it('forgets those that are older', () => {
  const { window, tooMany } = failures(3, [0, 50, 100, 160, 199]);
  expect(tooMany).toEqual([false, false, false, false, true]);
  expect(window.count).toBe(5);
});

it('stays over, says so once, and goes on counting', () => {
  const { window, tooMany } = failures(2, [0, 1, 2, 500]);
  expect(tooMany).toEqual([false, true, false, false]);
  expect([window.isOver, window.count]).toEqual([true, 4]);
});

it('never has too many without a limit', () => {
  const { window, tooMany } = failures(0, [0, 0, 0]);
  expect(tooMany).toEqual([false, false, false]);
  expect(window.isOver).toBe(false);
});
