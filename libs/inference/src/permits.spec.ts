import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { take, type Subscription } from 'rxjs';
import { NoPermitError, Permits } from './permits.js';

/** Asks for a permit, and writes down what comes of it. */
function asker(permits: Permits): { events: string[]; ask: (name: string, owner?: string) => Subscription } {
  const events: string[] = [];
  const ask = (name: string, owner = name): Subscription =>
    permits.acquire(owner).subscribe({
      next: () => events.push(name),
      error: (error: unknown) => events.push(`${name}: ${error instanceof NoPermitError ? error.reason : 'error'}`),
      complete: () => events.push(`${name}: complete`),
    });
  return { events, ask };
}

describe('Permits', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('gives at once while there are some, then in turn', () => {
    const permits = new Permits({ max: 2, maxWaiting: 2, timeoutMs: 1_000 });
    const { events, ask } = asker(permits);
    const a = ask('a', 'x');
    ask('b', 'x');
    ask('c', 'x');
    ask('d', 'x');
    expect([events, permits.held, permits.waiting, permits.isFull]).toEqual([['a', 'b'], 2, 2, true]);
    ask('e', 'x');
    expect(events.splice(0)).toEqual(['a', 'b', 'e: queue_full']);
    a.unsubscribe();
    a.unsubscribe();
    expect([events, permits.held, permits.waiting, permits.isFull]).toEqual([['c'], 2, 1, false]);
  });

  it('loses none when all who wait end at once, however many they are', () => {
    const permits = new Permits({ max: 1, maxWaiting: 10_000, timeoutMs: 1_000 });
    const first = permits.acquire('a').subscribe();
    let ended = 0;
    for (let count = 0; count < 5_000; count += 1) {
      permits
        .acquire('a')
        .pipe(take(1))
        .subscribe({ complete: () => (ended += 1) });
    }
    first.unsubscribe();
    expect({ ended, held: permits.held, waiting: permits.waiting }).toEqual({ ended: 5_000, held: 0, waiting: 0 });
  });

  it('forgets who leaves the queue, and who waited too long', () => {
    const permits = new Permits({ max: 1, maxWaiting: 4, timeoutMs: 1_000 });
    const { events, ask } = asker(permits);
    const first = ask('first');
    const left = ask('left');
    ask('late');
    left.unsubscribe();
    jest.advanceTimersByTime(1_000);
    expect([events.splice(0), permits.waiting]).toEqual([['first', 'late: wait_timeout'], 0]);
    expect(jest.getTimerCount()).toBe(0);
    first.unsubscribe();
    expect([events, permits.held]).toEqual([[], 0]);
  });

  it('takes owners in turn, however many of one wait', () => {
    const permits = new Permits({ max: 1, maxWaiting: 8, timeoutMs: 1_000 });
    const { events, ask } = asker(permits);
    const asked = ['a1', 'a2', 'a3', 'b1', 'b2', 'c1'].map((name) => ({ name, got: ask(name, name[0]) }));
    const order: string[] = [];
    for (let last = events.at(-1); last !== undefined && !order.includes(last); last = events.at(-1)) {
      order.push(last);
      asked.find(({ name }) => name === last)?.got.unsubscribe();
    }
    expect(order).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2']);
    expect([permits.held, permits.waiting]).toEqual([0, 0]);
  });

  it('makes room in a full queue for an owner with less in it', () => {
    const permits = new Permits({ max: 1, maxWaiting: 4, timeoutMs: 1_000 });
    const { events, ask } = asker(permits);
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) ask(name, 'a');
    ask('b1', 'b');
    ask('b2', 'b');
    ask('b3', 'b');
    expect(events).toEqual(['a1', 'a5: queue_full', 'a4: queue_full', 'b3: queue_full']);
    expect(permits.waiting).toBe(4);
  });

  it('lets none wait when none may', () => {
    const permits = new Permits({ max: 1, maxWaiting: 0, timeoutMs: 1_000 });
    const { events, ask } = asker(permits);
    ask('a');
    ask('b');
    expect(events).toEqual(['a', 'b: queue_full']);
  });

  it('gives to the next when one that was given it fails at once', () => {
    const permits = new Permits({ max: 1, maxWaiting: 4, timeoutMs: 1_000 });
    const first = permits.acquire('a').subscribe();
    let given = 0;
    const hasty: Subscription = permits.acquire('a').subscribe(() => {
      given += 1;
      hasty.unsubscribe();
    });
    permits.acquire('b').subscribe(() => (given += 1));
    first.unsubscribe();
    expect([given, permits.held, permits.waiting]).toEqual([2, 1, 0]);
  });
});
