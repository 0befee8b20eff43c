import {
  bytesPart,
  FlowValve,
  InferenceError,
  jsonPart,
  SSE_DONE,
  sseFailure,
  type ResponsePart,
} from '@baton/inference';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { concat, EMPTY, NEVER, Observable, of, Subject, throwError } from 'rxjs';
import { ClientStalledError, ResponseBody, type ResponseBodyEvents } from './response-body.js';

const STALL_MS = 1_000;
const HIGH_WATER_BYTES = 100;

class Events implements ResponseBodyEvents {
  readonly onReady = jest.fn<ResponseBodyEvents['onReady']>();
  readonly onFailed = jest.fn<ResponseBodyEvents['onFailed']>();
  readonly onEnd = jest.fn<ResponseBodyEvents['onEnd']>();
}

let valve: FlowValve;
let events: Events;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  valve = new FlowValve();
  events = new Events();
});

afterEach(() => {
  jest.useRealTimers();
});

function start(parts: Observable<ResponsePart>): ResponseBody {
  const body = new ResponseBody(valve, events, { highWaterBytes: HIGH_WATER_BYTES, stallTimeoutMs: STALL_MS });
  body.start(parts);
  return body;
}

/** Reads as a client that takes everything at once does. */
function readAll(body: ResponseBody): { text: () => string } {
  let text = '';
  body.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { text: () => text };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const settle = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await turn();
};
const part = (text: string): ResponsePart => bytesPart(Buffer.from(text));
const big = part('x'.repeat(HIGH_WATER_BYTES));

describe('ResponseBody', () => {
  it('is ready with the first part, and whole when the answer is', async () => {
    const parts = new Subject<ResponsePart>();
    const body = start(parts);
    expect(events.onReady).not.toHaveBeenCalled();
    parts.next(part('a'));
    parts.next(part('b'));
    expect(events.onReady).toHaveBeenCalledTimes(1);
    const { text } = readAll(body);
    parts.complete();
    await settle();
    expect(text()).toBe('ab');
    expect(events.onEnd.mock.calls).toEqual([[{ isWhole: true, error: undefined }]]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is ready with an answer that has no part, and writes a JSON part as text', async () => {
    const empty = start(EMPTY);
    expect(events.onReady).toHaveBeenCalledTimes(1);
    readAll(empty);
    const json = readAll(start(of(jsonPart({ id: 'x' }))));
    await settle();
    expect(json.text()).toBe('{"id":"x"}');
    expect(events.onEnd).toHaveBeenCalledTimes(2);
  });

  it('fails before the first part without a byte', async () => {
    const error = new InferenceError('No.', { status: 400 });
    const body = start(throwError(() => error));
    await settle();
    expect(events.onFailed.mock.calls).toEqual([[error]]);
    expect(events.onReady).not.toHaveBeenCalled();
    expect(events.onEnd.mock.calls).toEqual([[{ isWhole: false, error }]]);
    expect(body.destroyed).toBe(true);
  });

  it('ends a failure after the first part with an error event and the end mark', async () => {
    const error = new InferenceError('Lost.', { status: 502 });
    const { text } = readAll(
      start(
        concat(
          of(part('a')),
          throwError(() => error),
        ),
      ),
    );
    await settle();
    expect(text()).toBe(`a${Buffer.from(sseFailure(error)).toString()}`);
    expect(text().endsWith(Buffer.from(SSE_DONE).toString())).toBe(true);
    expect(events.onFailed).not.toHaveBeenCalled();
    expect(events.onEnd.mock.calls).toEqual([[{ isWhole: true, error }]]);
  });

  it('tells nothing of an unknown failure', async () => {
    const { text } = readAll(
      start(
        concat(
          of(part('a')),
          throwError(() => new Error('secret')),
        ),
      ),
    );
    await settle();
    expect(text()).toContain('"code":"internal_error"');
    expect(text()).not.toContain('secret');
  });

  it.each([
    ['before its first part', NEVER],
    ['after it', concat(of(part('a')), NEVER)],
  ])('gives everything back when destroyed %s, once', async (_when, parts) => {
    const released = jest.fn();
    const body = start(new Observable((subscriber) => parts.subscribe(subscriber).add(released)));
    body.destroy();
    body.destroy();
    await settle();
    expect(released).toHaveBeenCalledTimes(1);
    expect(events.onEnd.mock.calls).toEqual([[{ isWhole: false, error: undefined }]]);
    expect(events.onFailed).not.toHaveBeenCalled();
  });

  it('gives back what a synchronous failure held', async () => {
    const released = jest.fn();
    start(
      new Observable((subscriber) => {
        subscriber.error(new Error('at once'));
        return released;
      }),
    );
    await settle();
    expect(released).toHaveBeenCalledTimes(1);
  });

  describe('with a slow client', () => {
    it('closes the valve when it holds enough, and opens it when the client reads on', async () => {
      const parts = new Subject<ResponsePart>();
      const body = start(parts);
      parts.next(part('a'));
      expect(valve.isOpen).toBe(true);
      parts.next(big);
      expect(valve.isOpen).toBe(false);
      readAll(body);
      await settle();
      expect(valve.isOpen).toBe(true);
      expect(jest.getTimerCount()).toBe(0);
      jest.advanceTimersByTime(STALL_MS * 2);
      expect(body.destroyed).toBe(false);
    });

    it('cuts a client off that takes nothing for too long', async () => {
      const released = jest.fn();
      const body = start(new Observable((subscriber) => concat(of(big), NEVER).subscribe(subscriber).add(released)));
      jest.advanceTimersByTime(STALL_MS - 1);
      expect(body.destroyed).toBe(false);
      jest.advanceTimersByTime(1);
      await settle();
      expect(released).toHaveBeenCalledTimes(1);
      expect(events.onEnd.mock.calls).toEqual([[{ isWhole: false, error: expect.any(ClientStalledError) }]]);
    });

    it('counts from the last time that the client took something', () => {
      const parts = new Subject<ResponsePart>();
      const body = start(parts);
      for (let i = 0; i < 10; i++) parts.next(big);
      for (let i = 0; i < 5; i++) {
        jest.advanceTimersByTime(STALL_MS - 1);
        expect(body.read(1)).not.toBeNull();
      }
      expect(body.destroyed).toBe(false);
      jest.advanceTimersByTime(STALL_MS);
      expect(body.destroyed).toBe(true);
    });

    it('cuts it off also when the answer is complete and what is left would not close the valve', async () => {
      const body = start(of(part('a'), part('b')));
      expect(valve.isOpen).toBe(true);
      jest.advanceTimersByTime(STALL_MS);
      await settle();
      expect(body.destroyed).toBe(true);
      expect(events.onEnd.mock.calls).toEqual([[{ isWhole: false, error: expect.any(ClientStalledError) }]]);
    });

    it('cuts it off also when the answer has failed', async () => {
      const body = start(
        concat(
          of(part('a')),
          throwError(() => new Error('lost')),
        ),
      );
      jest.advanceTimersByTime(STALL_MS);
      await settle();
      expect(body.destroyed).toBe(true);
      expect(events.onEnd).toHaveBeenCalledTimes(1);
    });
  });
});
