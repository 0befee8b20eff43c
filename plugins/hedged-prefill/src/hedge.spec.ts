import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { defer, EMPTY, finalize, of, startWith, Subject, throwError, type Observable } from 'rxjs';
import { hedge, type HedgePlan } from './hedge.js';

interface Attempt {
  readonly answers: Subject<string>;
  isLeft: boolean;
}

let attempts: Attempt[];
let mayHedge: jest.Mock<() => boolean>;

beforeEach(() => {
  jest.useFakeTimers();
  attempts = [];
  mayHedge = jest.fn(() => true);
});

afterEach(() => {
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

const source = defer(() => {
  const attempt: Attempt = { answers: new Subject(), isLeft: false };
  attempts.push(attempt);
  return attempt.answers.pipe(finalize(() => (attempt.isLeft = true)));
});

function run({ delayMs = 100, of: attempted = source }: Partial<HedgePlan> & { of?: Observable<string> } = {}) {
  const log: unknown[] = [];
  const subscription = attempted.pipe(hedge({ delayMs, mayHedge })).subscribe({
    // Whether the others were left before the answer was handed on.
    next: (answer) => log.push(answer, attempts.filter(({ isLeft }) => isLeft).length),
    error: (error: unknown) => log.push(error),
    complete: () => log.push('complete'),
  });
  return { log, leave: () => subscription.unsubscribe() };
}

function answers(index: number): Subject<string> {
  const attempt = attempts[index];
  if (attempt === undefined) throw new Error(`There is no attempt ${index}.`);
  return attempt.answers;
}

describe('hedge', () => {
  it('attempts once what is answered in time, and asks nobody', () => {
    const { log } = run();
    jest.advanceTimersByTime(99);
    answers(0).next('a');
    answers(0).complete();
    jest.advanceTimersByTime(1_000);
    expect(log).toEqual(['a', 0, 'complete']);
    expect({ attempts: attempts.length, asked: mayHedge.mock.calls.length }).toEqual({ attempts: 1, asked: 0 });
  });

  it('attempts twice what is late, and leaves the slower one before it hands on the answer of the other', () => {
    const { log } = run();
    jest.advanceTimersByTime(99);
    expect(attempts).toHaveLength(1);
    jest.advanceTimersByTime(1);
    expect(attempts).toHaveLength(2);
    answers(1).next('b');
    expect({ log, left: attempts.map(({ isLeft }) => isLeft) }).toEqual({ log: ['b', 1], left: [true, false] });
    answers(1).complete();
    expect(log).toEqual(['b', 1, 'complete']);
  });

  it('leaves the second when the first answers after all', () => {
    const { log } = run();
    jest.advanceTimersByTime(100);
    answers(0).next('a');
    answers(1).next('b');
    expect({ log, left: attempts.map(({ isLeft }) => isLeft) }).toEqual({ log: ['a', 1], left: [false, true] });
    answers(0).complete();
  });

  it('never attempts a third time, nor a second one that it may not', () => {
    run().leave();
    mayHedge.mockReturnValue(false);
    const { leave } = run();
    jest.advanceTimersByTime(10_000);
    expect({ attempts: attempts.length, asked: mayHedge.mock.calls.length }).toEqual({ attempts: 2, asked: 1 });
    leave();
    mayHedge.mockReturnValue(true);
    const second = run();
    jest.advanceTimersByTime(10_000);
    expect(attempts).toHaveLength(4);
    second.leave();
  });

  it('sets no timer for a delay without an end', () => {
    const { leave } = run({ delayMs: Infinity });
    expect(jest.getTimerCount()).toBe(0);
    leave();
  });

  it('fails at once when the only attempt has failed', () => {
    const { log } = run();
    answers(0).error('first');
    jest.advanceTimersByTime(1_000);
    expect({ log, attempts: attempts.length }).toEqual({ log: ['first'], attempts: 1 });
  });

  it.each([0, 1])('goes on when attempt %i of two has failed', (failing) => {
    const { log } = run();
    jest.advanceTimersByTime(100);
    answers(failing).error('failed');
    expect(log).toEqual([]);
    answers(1 - failing).next('a');
    answers(1 - failing).complete();
    expect(log).toEqual(['a', 1, 'complete']);
  });

  it.each([
    [0, 1],
    [1, 0],
  ])('shows the error of the first attempt when both have failed: %i, then %i', (one, other) => {
    const { log } = run();
    jest.advanceTimersByTime(100);
    answers(one).error(one);
    answers(other).error(other);
    expect(log).toEqual([0]);
  });

  it('passes on an error after the answer, and ends empty what is empty', () => {
    const { log } = run();
    answers(0).next('a');
    answers(0).error('late');
    expect(log).toEqual(['a', 0, 'late']);
    expect(run({ of: EMPTY }).log).toEqual(['complete']);
  });

  it('leaves all of it when its subscriber leaves', () => {
    const { leave } = run();
    jest.advanceTimersByTime(100);
    leave();
    expect(attempts.map(({ isLeft }) => isLeft)).toEqual([true, true]);
  });

  it('takes attempts that end at once', () => {
    expect(run({ of: of('a') }).log).toEqual(['a', 0, 'complete']);
    expect(run({ of: throwError(() => 'no') }).log).toEqual(['no']);
    let tries = 0;
    const then = run({ of: defer(() => (tries++ === 0 ? source : source.pipe(startWith('b')))) });
    jest.advanceTimersByTime(100);
    expect({ log: then.log, left: attempts.map(({ isLeft }) => isLeft) }).toEqual({
      log: ['b', 1],
      left: [true, false],
    });
    then.leave();
    expect(attempts[1]?.isLeft).toBe(true);
  });
});
