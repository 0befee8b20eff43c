import { TIMEOUT_HEADER } from '@baton/inference';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { NEVER, of, Subject } from 'rxjs';
import { deadlineOf, untilDeadline } from './deadline.js';

describe('deadlineOf', () => {
  const inMs = (asked?: string): number =>
    Math.round(deadlineOf(asked === undefined ? {} : { [TIMEOUT_HEADER]: asked }, 5_000) - performance.now());

  it('is what the client asks for, up to the total', () => {
    expect([inMs(), inMs('20'), inMs('0020'), inMs('5001'), inMs('999999999999999')]).toEqual([
      5_000, 20, 20, 5_000, 5_000,
    ]);
  });

  it.each(['', '0', '-1', '1.5', '1e3', 'soon', '0x10', ' 5', '9999999999999999'])('refuses %j', (asked) => {
    expect(() => inMs(asked)).toThrow(
      expect.objectContaining({ status: 400, param: TIMEOUT_HEADER, code: 'invalid_request' }),
    );
  });
});

describe('untilDeadline', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('ends what takes too long, and unsubscribes it', () => {
    const source = new Subject<number>();
    const errors: unknown[] = [];
    const seen: number[] = [];
    source
      .pipe(untilDeadline(performance.now() + 100))
      .subscribe({ next: (value) => seen.push(value), error: (error: unknown) => errors.push(error) });
    source.next(1);
    jest.advanceTimersByTime(100);
    expect(seen).toEqual([1]);
    expect(errors).toEqual([expect.objectContaining({ status: 504, code: 'deadline_exceeded' })]);
    expect(source.observed).toBe(false);
  });

  it('leaves no timer behind', () => {
    of(1)
      .pipe(untilDeadline(performance.now() + 100))
      .subscribe();
    NEVER.pipe(untilDeadline(performance.now() + 100))
      .subscribe()
      .unsubscribe();
    NEVER.pipe(untilDeadline(undefined)).subscribe().unsubscribe();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('does not fire at once when it is too far for a timer', () => {
    const errors: unknown[] = [];
    NEVER.pipe(untilDeadline(performance.now() + 1e12)).subscribe({ error: (error: unknown) => errors.push(error) });
    jest.advanceTimersByTime(1_000_000);
    expect(errors).toEqual([]);
  });
});
