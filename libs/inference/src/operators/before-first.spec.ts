import { describe, expect, it, jest } from '@jest/globals';
import { concat, NEVER, Observable, of, Subject, throwError, type Observer } from 'rxjs';
import { recoverBeforeFirst } from './before-first.js';

const failing: Observable<string> = throwError(() => new Error('first'));

function record<T>(source: Observable<T>): { log: unknown[]; unsubscribe: () => void } {
  const log: unknown[] = [];
  const observer: Observer<T> = {
    next: (value) => log.push(value),
    error: (error: Error) => log.push(`error ${error.message}`),
    complete: () => log.push('complete'),
  };
  const subscription = source.subscribe(observer);
  return { log, unsubscribe: () => subscription.unsubscribe() };
}

describe('recoverBeforeFirst', () => {
  it('goes on with the other answer when nothing was emitted', () => {
    const recover = jest.fn((_error: unknown) => of('a', 'b'));
    expect(record(failing.pipe(recoverBeforeFirst<string>(recover))).log).toEqual(['a', 'b', 'complete']);
    expect(recover).toHaveBeenCalledWith(expect.objectContaining({ message: 'first' }));
  });

  it('passes the error on when there is no other answer', () => {
    expect(record(failing.pipe(recoverBeforeFirst<string>(() => undefined))).log).toEqual(['error first']);
  });

  it('does not ask once a part is out', () => {
    const recover = jest.fn(() => of('b'));
    expect(record(concat(of('a'), failing).pipe(recoverBeforeFirst<string>(recover))).log).toEqual([
      'a',
      'error first',
    ]);
    expect(recover).not.toHaveBeenCalled();
  });

  it('shows the error of the other answer, and does not recover twice', () => {
    const recover = jest.fn(() => throwError(() => new Error('second')));
    expect(record(failing.pipe(recoverBeforeFirst<string>(recover))).log).toEqual(['error second']);
    expect(recover).toHaveBeenCalledTimes(1);
  });

  it('fails with what recover throws', () => {
    const recover = (): Observable<never> => {
      throw new Error('bad plan');
    };
    expect(record(failing.pipe(recoverBeforeFirst<string>(recover))).log).toEqual(['error bad plan']);
  });

  it('passes completion on without asking', () => {
    const recover = jest.fn(() => undefined);
    expect(record(of('a').pipe(recoverBeforeFirst<string>(recover))).log).toEqual(['a', 'complete']);
    expect(recover).not.toHaveBeenCalled();
  });

  it('unsubscribes whichever answer runs', () => {
    const firstEnded = jest.fn();
    const first = new Observable<string>(() => firstEnded);
    record(first.pipe(recoverBeforeFirst<string>(() => NEVER))).unsubscribe();
    expect(firstEnded).toHaveBeenCalledTimes(1);

    const otherEnded = jest.fn();
    const trigger = new Subject<string>();
    const running = record(trigger.pipe(recoverBeforeFirst<string>(() => new Observable<string>(() => otherEnded))));
    trigger.error(new Error('first'));
    running.unsubscribe();
    expect(otherEnded).toHaveBeenCalledTimes(1);
  });
});
