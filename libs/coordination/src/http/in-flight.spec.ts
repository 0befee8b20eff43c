import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { NEVER, Observable, of, Subject } from 'rxjs';
import { CoordinationObserver } from '../observer.js';
import { InFlight } from './in-flight.js';

let observer: CoordinationObserver;
let inFlight: InFlight;

beforeEach(() => {
  jest.useFakeTimers();
  observer = new CoordinationObserver();
  inFlight = new InFlight(observer);
});

afterEach(() => {
  jest.useRealTimers();
});

describe('InFlight', () => {
  it('counts requests in and out, each once, and tells the observer', () => {
    const started = jest.spyOn(observer, 'started');
    const ended = jest.spyOn(observer, 'ended');
    const first = inFlight.begin('chat');
    const second = inFlight.begin('generate');
    expect(inFlight.count).toBe(2);
    first('complete');
    first('client_gone');
    expect(inFlight.count).toBe(1);
    second('client_gone');
    expect(inFlight.count).toBe(0);
    expect(started.mock.calls).toEqual([['chat'], ['generate']]);
    expect(ended.mock.calls).toEqual([['complete'], ['client_gone']]);
  });

  it('refuses new requests with a 503 once it was told to, and does not count them', () => {
    inFlight.refuseNew();
    const begin = (): unknown => inFlight.begin('chat');
    expect(begin).toThrow('shutting down');
    expect(inFlight.count).toBe(0);
  });

  it('passes answers on, and gives its own subscription back with them', () => {
    const ended = jest.fn();
    const values: number[] = [];
    of(1, 2)
      .pipe(inFlight.untilAborted<number>())
      .subscribe((value) => values.push(value));
    new Observable(() => ended).pipe(inFlight.untilAborted()).subscribe().unsubscribe();
    expect(values).toEqual([1, 2]);
    expect(ended).toHaveBeenCalledTimes(1);
  });

  describe('drain', () => {
    it('is done at once when nothing is in flight, and refuses what comes', async () => {
      await inFlight.drain(30_000);
      expect(() => inFlight.begin('chat')).toThrow('shutting down');
    });

    it('waits for what is in flight, and lets it end by itself', async () => {
      const answer = new Subject<number>();
      const log: unknown[] = [];
      const end = inFlight.begin('chat');
      answer
        .pipe(inFlight.untilAborted<number>())
        .subscribe({ next: (n) => log.push(n), complete: () => end('complete'), error: (e: unknown) => log.push(e) });
      let isDrained = false;
      const drained = inFlight.drain(30_000).then(() => (isDrained = true));
      await jest.advanceTimersByTimeAsync(29_000);
      expect(isDrained).toBe(false);
      answer.next(1);
      answer.complete();
      await drained;
      expect(log).toEqual([1]);
    });

    it('ends with an error what takes longer than the bound', async () => {
      const errors: unknown[] = [];
      const end = inFlight.begin('chat');
      NEVER.pipe(inFlight.untilAborted()).subscribe({
        error: (error: unknown) => {
          errors.push(error);
          end('drain');
        },
      });
      const drained = inFlight.drain(1_000);
      await jest.advanceTimersByTimeAsync(999);
      expect(errors).toEqual([]);
      await jest.advanceTimersByTimeAsync(1);
      expect(errors).toEqual([expect.objectContaining({ status: 503, code: 'shutting_down' })]);
      await drained;
      expect(inFlight.count).toBe(0);
    });

    it('is bounded even when an answer does not end', async () => {
      inFlight.begin('chat');
      const drained = inFlight.drain(1_000);
      await jest.advanceTimersByTimeAsync(2_000);
      await drained;
      expect(inFlight.count).toBe(1);
    });
  });
});
