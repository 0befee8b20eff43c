import { ANONYMOUS, inferenceRequest, type InferenceRequest } from '@baton/inference';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { NEVER, Observable, of, Subject } from 'rxjs';
import { CoordinationObserver } from '../observer.js';
import { InFlight } from './in-flight.js';

const CHAT = inferenceRequest('chat', {});

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
    const first = inFlight.begin(CHAT);
    const second = inFlight.begin(inferenceRequest('generate', {}));
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
    const begin = (): unknown => inFlight.begin(CHAT);
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

  describe('abort', () => {
    const errors = new Map<InferenceRequest, unknown>();

    /** A request whose answer never ends by itself. */
    function answering(id: string, body = {}): InferenceRequest {
      const request = inferenceRequest('generate', body, { id });
      const end = inFlight.begin(request);
      NEVER.pipe(inFlight.untilAborted(request)).subscribe({
        error: (error: unknown) => {
          errors.set(request, error);
          end('aborted');
        },
      });
      return request;
    }

    beforeEach(() => errors.clear());

    it('ends the answer that an id means, and no other', () => {
      const [mine, other] = [answering('mine'), answering('other')];
      expect(inFlight.abort(['mine'], ANONYMOUS)).toBe(1);
      expect(errors.get(mine)).toMatchObject({ status: 499, code: 'request_aborted' });
      expect(errors.has(other)).toBe(false);
      expect(inFlight.count).toBe(1);
    });

    it('takes the id that an answer carried: of the client, of the body, of a leg; and a bare key', () => {
      const requests = [answering('a'), answering('b', { request_id: 'own' }), answering('c'), answering('d')];
      const [, , third, fourth] = requests;
      const ids = ['chatcmpl-a', 'generate-tokens-own', `cmpl-${third?.key}-0a1b2c3d`, String(fourth?.key)];
      expect(inFlight.abort(ids, ANONYMOUS)).toBe(4);
      expect(requests.every((request) => errors.has(request))).toBe(true);
      expect(inFlight.count).toBe(0);
    });

    it('ends both of two requests with one id, and each once when it is named twice', () => {
      const [first, second] = [answering('same'), answering('same')];
      expect(inFlight.abort(['same', 'chatcmpl-same', first.key], ANONYMOUS)).toBe(2);
      expect([...errors.keys()]).toEqual([first, second]);
    });

    it('knows nothing of unknown ids, of what is over, and of what was whole already', () => {
      const end = inFlight.begin(inferenceRequest('chat', {}, { id: 'over' }));
      expect(inFlight.abort(['nobody', '', 'over'], ANONYMOUS)).toBe(0);
      end('complete');
      expect(inFlight.abort(['over'], ANONYMOUS)).toBe(0);
    });

    it('is not for requests that it was not told of', () => {
      answering('mine');
      const error = jest.fn();
      NEVER.pipe(inFlight.untilAborted()).subscribe({ error });
      inFlight.abort(['mine'], ANONYMOUS);
      expect(error).not.toHaveBeenCalled();
    });
  });

  describe('drain', () => {
    it('is done at once when nothing is in flight, and refuses what comes', async () => {
      await inFlight.drain(30_000);
      expect(() => inFlight.begin(CHAT)).toThrow('shutting down');
    });

    it('waits for what is in flight, and lets it end by itself', async () => {
      const answer = new Subject<number>();
      const log: unknown[] = [];
      const end = inFlight.begin(CHAT);
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
      const end = inFlight.begin(CHAT);
      NEVER.pipe(inFlight.untilAborted(CHAT)).subscribe({
        error: (error: unknown) => {
          errors.push(error);
          end('drain');
        },
      });
      const drained = inFlight.drain(1_000);
      await jest.advanceTimersByTimeAsync(999);
      expect(errors).toEqual([]);
      await jest.advanceTimersByTimeAsync(1);
      expect(errors).toEqual([expect.objectContaining({ status: 503, code: 'drain_timeout' })]);
      await drained;
      expect(inFlight.count).toBe(0);
    });

    it('is bounded even when an answer does not end', async () => {
      inFlight.begin(CHAT);
      const drained = inFlight.drain(1_000);
      await jest.advanceTimersByTimeAsync(2_000);
      await drained;
      expect(inFlight.count).toBe(1);
    });
  });
});

describe('settled', () => {
  beforeEach(() => {
    jest.useRealTimers();
  });

  /** Whether the wait is over by now. */
  const isOver = async (wait: Promise<boolean>): Promise<boolean | 'waits'> => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return Promise.race([wait, Promise.resolve('waits' as const)]);
  };

  it('waits for the requests that began before, and for no other', async () => {
    const first = inFlight.begin(CHAT);
    const wait = inFlight.settled(10_000);
    expect(await isOver(wait)).toBe('waits');
    inFlight.begin(CHAT);
    first('complete');
    expect(await isOver(wait)).toBe(true);
  });

  it('waits for one that begins in the same turn: its manager may have been asked already', async () => {
    const wait = inFlight.settled(10_000);
    const end = await Promise.resolve().then(() => inFlight.begin(CHAT));
    expect(await isOver(wait)).toBe('waits');
    end('complete');
    expect(await wait).toBe(true);
  });

  it('gives up after its time, or when it is told to', async () => {
    inFlight.begin(CHAT);
    expect(await inFlight.settled(1)).toBe(false);
    const cut = new AbortController();
    const wait = inFlight.settled(10_000, cut.signal);
    expect(await isOver(wait)).toBe('waits');
    cut.abort();
    expect(await wait).toBe(false);
    expect(await inFlight.settled(10_000, cut.signal)).toBe(false);
  });
});
