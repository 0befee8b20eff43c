import { describe, expect, it, jest } from '@jest/globals';
import { concat, defer, EMPTY, NEVER, Observable, of, Subject, throwError } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { whileHeld } from './while-held.js';

/** A resource that writes down what happens to it; `grant` hands it out later. */
function resourceOf<T>(value: T, log: string[], grant: Observable<unknown> = of(0)): Observable<T> {
  return new Observable((subscriber) => {
    log.push('asked');
    const waiting = grant.subscribe(() => {
      log.push('held');
      subscriber.next(value);
    });
    return () => {
      waiting.unsubscribe();
      log.push('released');
    };
  });
}

describe('whileHeld', () => {
  it('passes values on and releases when the result completes', () => {
    const log: string[] = [];
    resourceOf('slot', log)
      .pipe(whileHeld((slot) => of(`${slot}-1`, `${slot}-2`)))
      .subscribe({ next: (value) => log.push(value), complete: () => log.push('complete') });
    expect(log).toEqual(['asked', 'held', 'slot-1', 'slot-2', 'complete', 'released']);
  });

  it('releases when the result fails, and passes the error on', () => {
    const log: string[] = [];
    const error = jest.fn();
    resourceOf(1, log)
      .pipe(whileHeld(() => throwError(() => new Error('broken'))))
      .subscribe({ error });
    expect(error).toHaveBeenCalledWith(expect.objectContaining({ message: 'broken' }));
    expect(log).toEqual(['asked', 'held', 'released']);
  });

  it('releases exactly once when unsubscribed while the result runs, and once more makes no difference', () => {
    const log: string[] = [];
    const subscription = resourceOf(1, log)
      .pipe(whileHeld(() => NEVER))
      .subscribe();
    expect(log).toEqual(['asked', 'held']);
    subscription.unsubscribe();
    subscription.unsubscribe();
    expect(log).toEqual(['asked', 'held', 'released']);
  });

  it('releases when unsubscribed while the resource is still being acquired', () => {
    const log: string[] = [];
    const grant = new Subject<void>();
    const project = jest.fn(() => NEVER);
    const subscription = resourceOf(1, log, grant).pipe(whileHeld(project)).subscribe();
    subscription.unsubscribe();
    grant.next();
    expect(project).not.toHaveBeenCalled();
    expect(log).toEqual(['asked', 'released']);
  });

  it.each([
    ['at once', false],
    ['later', true],
  ])('ends what runs on a resource that was granted %s before it gives the resource back', (_when, isLate) => {
    const log: string[] = [];
    const grant = new Subject<void>();
    const subscription = resourceOf(1, log, isLate ? grant : of(0))
      .pipe(whileHeld(() => new Observable(() => () => log.push('result ended'))))
      .subscribe();
    if (isLate) grant.next();
    subscription.unsubscribe();
    expect(log).toEqual(['asked', 'held', 'result ended', 'released']);
  });

  it('releases when downstream has enough of a synchronous result', () => {
    const log: string[] = [];
    const subscription = resourceOf(1, log)
      .pipe(whileHeld(() => concat(of('first'), NEVER)))
      .subscribe(function (this: unknown, value) {
        log.push(value);
      });
    subscription.unsubscribe();
    expect(log).toEqual(['asked', 'held', 'first', 'released']);
  });

  it('passes the error of a resource that cannot be had on', () => {
    const error = jest.fn();
    const project = jest.fn(() => EMPTY);
    throwError(() => new Error('none left'))
      .pipe(whileHeld(project))
      .subscribe({ error });
    expect(error).toHaveBeenCalledWith(expect.objectContaining({ message: 'none left' }));
    expect(project).not.toHaveBeenCalled();
  });

  it('ends the result when the resource is lost while it is held', () => {
    const resource = new Subject<string>();
    const ended = jest.fn();
    const error = jest.fn();
    resource.pipe(whileHeld(() => new Observable(() => ended))).subscribe({ error });
    resource.next('slot');
    resource.error(new Error('lost'));
    expect(error).toHaveBeenCalledWith(expect.objectContaining({ message: 'lost' }));
    expect(ended).toHaveBeenCalledTimes(1);
  });

  it('fails and releases when project throws', () => {
    const log: string[] = [];
    const error = jest.fn();
    resourceOf(1, log)
      .pipe(
        whileHeld((): Observable<never> => {
          throw new Error('bad plan');
        }),
      )
      .subscribe({ error });
    expect(error).toHaveBeenCalledWith(expect.objectContaining({ message: 'bad plan' }));
    expect(log).toEqual(['asked', 'held', 'released']);
  });

  it('completes when the source ends without a resource, and outlives a source that ends while it is held', () => {
    const complete = jest.fn();
    EMPTY.pipe(whileHeld(() => NEVER)).subscribe({ complete });
    expect(complete).toHaveBeenCalledTimes(1);

    const result = new Subject<number>();
    const values: number[] = [];
    of('slot')
      .pipe(whileHeld(() => result))
      .subscribe((value) => values.push(value));
    result.next(7);
    expect(values).toEqual([7]);
  });

  it('keeps the times of the result', () => {
    new TestScheduler((actual, expected) => expect(actual).toEqual(expected)).run(
      ({ cold, expectObservable, expectSubscriptions }) => {
        const resource = cold('--r-----');
        const result = cold('    a-b-(c|)');
        expectObservable(resource.pipe(whileHeld(() => result))).toBe('--a-b-(c|)');
        expectSubscriptions(resource.subscriptions).toBe('^-----!');
        expectSubscriptions(result.subscriptions).toBe('--^---!');
      },
    );
  });

  it('acquires anew for each subscription', () => {
    const log: string[] = [];
    const once = defer(() => resourceOf(1, log)).pipe(whileHeld(() => of('done')));
    once.subscribe();
    once.subscribe();
    expect(log).toEqual(['asked', 'held', 'released', 'asked', 'held', 'released']);
  });
});
