import { describe, expect, it } from '@jest/globals';
import { delay, interval, map, of, take, timeout, NEVER, catchError } from 'rxjs';
import { VirtualTime } from './virtual-time.js';

describe('virtual time', () => {
  it('runs timers in the order in which they are due, and no sooner', async () => {
    const log: string[] = [];
    await VirtualTime.run(async (time) => {
      setTimeout((name: string) => log.push(name), 20, 'second');
      setTimeout(() => log.push('first'), 10);
      const every = setInterval(() => log.push('every 8'), 8);
      clearTimeout(setTimeout(() => log.push('never'), 5));
      await time.advance(9);
      expect(log).toEqual(['every 8']);
      await time.advance(11);
      clearInterval(every);
      await time.advance(1_000);
      expect(time.pending).toBe(0);
      expect(time.elapsedMs).toBe(1_020);
    });
    expect(log).toEqual(['every 8', 'first', 'every 8', 'second']);
  });

  it('is the time of RxJS, of Date and of performance', async () => {
    const log: unknown[] = [];
    await VirtualTime.run(async (time) => {
      const [at, now] = [Date.now(), performance.now()];
      interval(1_000)
        .pipe(
          take(2),
          map((count) => [count, Date.now() - at]),
        )
        .subscribe((seen) => log.push(seen));
      of('late')
        .pipe(delay(2_500))
        .subscribe((seen) => log.push([seen, performance.now() - now]));
      NEVER.pipe(
        timeout(60_000),
        catchError((error: Error) => of(error.name)),
      ).subscribe((seen) => log.push(seen));
      await time.advance(3_600_000);
    });
    expect(log).toEqual([[0, 1_000], [1, 2_000], ['late', 2_500], 'TimeoutError']);
  });

  it('goes from timer to timer until something is so', async () => {
    await VirtualTime.run(async (time) => {
      let isSo = false;
      setTimeout(() => void Promise.resolve().then(() => (isSo = true)), 400);
      setTimeout(() => undefined, 500);
      expect(await time.advanceUntil(() => isSo, 1_000)).toBe(true);
      expect(time.elapsedMs).toBe(400);
      expect(await time.advanceUntil(() => false, 1_000)).toBe(false);
      expect(time.elapsedMs).toBe(1_400);
      const value = new Promise<string>((resolve) => setTimeout(() => resolve('there'), 10_000));
      expect(await time.until(value, 20_000)).toBe('there');
      await expect(time.until(new Promise(() => undefined), 50)).rejects.toThrow('50 ms of virtual time');
    });
  });

  it('keeps what a timer throws, and goes on', async () => {
    await VirtualTime.run(async (time) => {
      const error = new Error('of nobody');
      of(1).subscribe(() => {
        throw error;
      });
      await time.advance(10);
      expect(time.thrown).toEqual([error]);
    });
  });

  it('ends where timers are set without end', async () => {
    await VirtualTime.run(async (time) => {
      const again = (): void => void setTimeout(again, 1);
      again();
      await expect(time.advance(10_000_000)).rejects.toThrow('More than 200000 timers');
    });
  }, 60_000);

  it('puts everything back, also when it fails', async () => {
    const before = [setTimeout, setInterval, clearTimeout, clearInterval, performance.now, Date.now];
    await expect(
      VirtualTime.run(async () => {
        expect(setTimeout).not.toBe(before[0]);
        throw new Error('failed');
      }),
    ).rejects.toThrow('failed');
    expect([setTimeout, setInterval, clearTimeout, clearInterval, performance.now, Date.now]).toEqual(before);
  });

  it('stands still while something is waited for in real time', async () => {
    await VirtualTime.run(async (time) => {
      const log: string[] = [];
      setTimeout(() => log.push('virtual'), 1);
      await time.inRealTime(() => new Promise((resolve) => setTimeout(resolve, 5)));
      expect([log, time.elapsedMs, time.pending]).toEqual([[], 0, 1]);
      await time.advance(1);
      expect(log).toEqual(['virtual']);
    });
  });

  it('runs one after the other, and not one within the other', async () => {
    const log: string[] = [];
    const run = (name: string): Promise<void> =>
      VirtualTime.run(async (time) => {
        log.push(`${name} begins`);
        await time.advance(10);
        log.push(`${name} ends`);
      });
    await Promise.all([run('a'), run('b')]);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
    await VirtualTime.run(() => expect(run('c')).rejects.toThrow('within virtual time'));
  });
});
