import { inferenceRequest } from '@baton/inference';
import { parseEndpoint, RemoteUnavailableError, type Endpoint, type EndpointPicker } from '@baton/remotes';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { concat, EMPTY, finalize, NEVER, Observable, of, startWith, throwError } from 'rxjs';
import { containedPicker } from './contained-picker.js';
import type { Containment } from './containment.js';

const request = inferenceRequest('completions', { prompt: 'x' });
const [own, other, foreign] = ['a', 'b', 'c'].map((host) => parseEndpoint({ url: `http://${host}:1` })) as [
  Endpoint,
  Endpoint,
  Endpoint,
];
const endpoints = [own, other];
const broken = new Error('broken picker');
const onFault = jest.fn<(error: Error) => void>();
let containment: { -readonly [Key in keyof Containment]: Containment[Key] };
let held: number;

/** Picks the second, and counts what it holds. */
const instead: EndpointPicker = {
  pick: () =>
    new Observable((subscriber) => {
      held += 1;
      subscriber.next(other);
      return () => (held -= 1);
    }),
};

function picks(pick: unknown): { picked: Endpoint[]; error: jest.Mock; leave: () => void } {
  const picked: Endpoint[] = [];
  const error = jest.fn();
  const picker = containedPicker({ pick } as EndpointPicker, () => instead, containment);
  const subscription = picker.pick(request, endpoints).subscribe({ next: (one) => picked.push(one), error });
  return { picked, error, leave: () => subscription.unsubscribe() };
}

beforeEach(() => {
  jest.useFakeTimers();
  onFault.mockReset();
  held = 0;
  containment = { firstPartTimeoutMs: 100, isOff: false, onFault };
});
afterEach(() => void jest.useRealTimers());

describe('A contained picker', () => {
  it('picks, holds, and lets go', () => {
    const closed = jest.fn();
    const { picked, leave } = picks(() => NEVER.pipe(startWith(own), finalize(closed)));
    jest.advanceTimersByTime(10_000);
    expect(picked).toEqual([own]);
    expect(closed).not.toHaveBeenCalled();
    leave();
    expect(closed).toHaveBeenCalledTimes(1);
    expect(onFault).not.toHaveBeenCalled();
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw broken;
      },
    ],
    ['fails', () => throwError(() => broken)],
    ['picks nothing', () => EMPTY],
    ['picks what it was not offered', () => of(foreign)],
    ['answers with a promise of none', () => Promise.resolve('b')],
    ['answers with garbage', () => 5],
    ['hangs', () => NEVER],
  ])('that %s is picked for by another, which holds it', async (_what, pick) => {
    const { picked, error, leave } = picks(pick);
    await jest.advanceTimersByTimeAsync(100);
    expect([picked, held]).toEqual([[other], 1]);
    expect(onFault).toHaveBeenCalledTimes(1);
    expect(error).not.toHaveBeenCalled();
    leave();
    expect(held).toBe(0);
  });

  it('keeps to what it picked when it fails later', () => {
    const { picked, error } = picks(() =>
      concat(
        of(own),
        throwError(() => broken),
      ),
    );
    expect([picked, held]).toEqual([[own], 0]);
    expect(error).not.toHaveBeenCalled();
    expect(onFault).toHaveBeenCalledWith(broken);
  });

  it('passes on that there is none to give', () => {
    const none = new RemoteUnavailableError('none', 'no_endpoint');
    const { error } = picks(() => throwError(() => none));
    expect(error).toHaveBeenCalledWith(none);
    expect(onFault).not.toHaveBeenCalled();
  });

  it('may throw in its teardown: what is torn down with it is torn down', () => {
    const { leave } = picks(
      () =>
        new Observable((subscriber) => {
          subscriber.next(own);
          return () => {
            throw broken;
          };
        }),
    );
    expect(leave).not.toThrow();
    expect(onFault).toHaveBeenCalledTimes(1);
  });

  it('is not asked once it is switched off', () => {
    const pick = jest.fn();
    containment.isOff = true;
    expect(picks(pick).picked).toEqual([other]);
    expect(pick).not.toHaveBeenCalled();
    expect(onFault).not.toHaveBeenCalled();
  });
});
