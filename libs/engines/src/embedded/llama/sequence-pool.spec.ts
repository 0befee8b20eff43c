import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { SequencePool, type PoolSlot } from './sequence-pool.js';

class FakeSlot implements PoolSlot {
  known = 0;
  settle: () => void = () => undefined;
  #settled = Promise.resolve();

  reusableTokens(): number {
    return this.known;
  }

  settled(): Promise<void> {
    return this.#settled;
  }

  /** Makes the slot busy until `settle` is called. */
  startWork(): void {
    this.#settled = new Promise((resolve) => (this.settle = resolve));
  }
}

const pool = (slots: FakeSlot[], options: Partial<{ maxWaiting: number; waitTimeoutMs: number }> = {}) =>
  new SequencePool(slots, { maxWaiting: 2, waitTimeoutMs: 1000, ...options });

describe('SequencePool', () => {
  it('lends each slot to one request, and takes it back', async () => {
    const sequences = pool([new FakeSlot(), new FakeSlot()]);
    const got: FakeSlot[] = [];
    const first = sequences.acquire([1], 'a').subscribe((slot) => got.push(slot));
    sequences.acquire([1], 'a').subscribe((slot) => got.push(slot));
    expect(new Set(got).size).toBe(2);
    expect(sequences.idle).toBe(0);
    first.unsubscribe();
    await sleep(0);
    expect(sequences.idle).toBe(1);
  });

  it('prefers the slot that knows most of the prompt', () => {
    const knowing = new FakeSlot();
    knowing.known = 128;
    const slots = [new FakeSlot(), knowing, new FakeSlot()];
    let got: FakeSlot | undefined;
    pool(slots)
      .acquire([1], 'a')
      .subscribe((slot) => (got = slot));
    expect(got).toBe(knowing);
  });

  it('serves those who wait in their order', async () => {
    const sequences = pool([new FakeSlot()]);
    const order: number[] = [];
    const first = sequences.acquire([1], 'a').subscribe();
    const second = sequences.acquire([1], 'a').subscribe(() => order.push(2));
    sequences.acquire([1], 'a').subscribe(() => order.push(3));
    first.unsubscribe();
    await sleep(0);
    expect(order).toEqual([2]);
    second.unsubscribe();
    await sleep(0);
    expect(order).toEqual([2, 3]);
  });

  it('serves callers in turn, and lets none fill the queue', async () => {
    const sequences = pool([new FakeSlot()], { maxWaiting: 3 });
    const order: string[] = [];
    const errors: unknown[] = [];
    const ask = (owner: string): void => {
      const asked = sequences.acquire([1], owner).subscribe({
        next: () => {
          order.push(owner);
          setImmediate(() => asked.unsubscribe());
        },
        error: (error: unknown) => errors.push(error),
      });
    };
    for (const owner of ['greedy', 'greedy', 'greedy', 'greedy', 'modest']) ask(owner);
    // The last of the greedy one has made room.
    expect(errors).toMatchObject([{ code: 'engine_overloaded' }]);
    while (sequences.idle === 0) await sleep(1);
    expect(order).toEqual(['greedy', 'greedy', 'modest', 'greedy']);
  });

  it('hands a slot on only when nothing runs in it any more', async () => {
    const slot = new FakeSlot();
    const sequences = pool([slot]);
    const first = sequences.acquire([1], 'a').subscribe();
    let isServed = false;
    sequences.acquire([1], 'a').subscribe(() => (isServed = true));
    slot.startWork();
    first.unsubscribe();
    await sleep(5);
    expect(isServed).toBe(false);
    slot.settle();
    await sleep(0);
    expect(isServed).toBe(true);
  });

  it('forgets who leaves the queue', async () => {
    const sequences = pool([new FakeSlot()]);
    const first = sequences.acquire([1], 'a').subscribe();
    sequences.acquire([1], 'a').subscribe().unsubscribe();
    expect(sequences.waiting).toBe(0);
    first.unsubscribe();
    await sleep(0);
    expect(sequences.idle).toBe(1);
  });

  it('refuses who finds the queue full, and who waits too long', async () => {
    const sequences = pool([new FakeSlot()], { maxWaiting: 1, waitTimeoutMs: 10 });
    const errors: unknown[] = [];
    const note = { error: (error: unknown) => errors.push(error) };
    sequences.acquire([1], 'a').subscribe();
    sequences.acquire([1], 'a').subscribe(note);
    sequences.acquire([1], 'a').subscribe(note);
    expect(errors).toMatchObject([{ status: 503, code: 'engine_overloaded', retryAfterSeconds: 1 }]);
    await sleep(30);
    expect(errors[1]).toMatchObject({ status: 503, code: 'engine_wait_timeout' });
    expect(sequences.waiting).toBe(0);
  });

  it('takes a slot back from who leaves while it is handed over', async () => {
    const sequences = pool([new FakeSlot()]);
    const first = sequences.acquire([1], 'a').subscribe();
    const second = sequences.acquire([1], 'a').subscribe(() => second.unsubscribe());
    first.unsubscribe();
    await sleep(0);
    expect(sequences.idle).toBe(1);
  });
});
