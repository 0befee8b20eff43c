import { describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { withDeadline } from './deadline.js';

const forever = (signal: AbortSignal): Promise<void> => delay(60_000, undefined, { signal });

describe('withDeadline', () => {
  it('passes the result on', async () => {
    await expect(withDeadline(new AbortController().signal, 1_000, async () => 7)).resolves.toBe(7);
  });

  it('aborts the work when the time is over', async () => {
    await expect(withDeadline(new AbortController().signal, 5, forever)).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('aborts the work when it is stopped, also beforehand', async () => {
    const stop = new AbortController();
    const work = withDeadline(stop.signal, 60_000, forever);
    stop.abort();
    await expect(work).rejects.toMatchObject({ name: 'AbortError' });
    await expect(withDeadline(stop.signal, 60_000, forever)).rejects.toMatchObject({ name: 'AbortError' });
  });
});
