import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CallClock, type CallTimes } from './call-clock.js';

const TIMES: CallTimes = {
  connectTimeoutMs: 100,
  headTimeoutMs: 200,
  firstTokenTimeoutMs: 300,
  idleTimeoutMs: 50,
  totalTimeoutMs: 10_000,
};

/** It is looked at once more, after what has come meanwhile was read. */
const about = (ms: number): unknown => expect.closeTo(ms, -1);

describe('CallClock', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  function clock(
    times: Partial<CallTimes> = {},
    inMs?: number,
  ): { clock: CallClock; late: { what: string; at: number }[] } {
    const late: { what: string; at: number }[] = [];
    const start = performance.now();
    const made = new CallClock({ ...TIMES, ...times }, inMs === undefined ? undefined : start + inMs, (what) =>
      late.push({ what, at: Math.round(performance.now() - start) }),
    );
    return { clock: made, late };
  }

  it('tells once which part took too long, and when', () => {
    const { late } = clock();
    jest.advanceTimersByTime(20_000);
    expect(late).toEqual([{ what: 'connect', at: about(100) }]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it.each([
    ['head', 200],
    ['first_token', 300],
    ['between_tokens', 50],
  ] as const)('gives each part its time from its begin: %s', (stage, ms) => {
    const { clock: made, late } = clock();
    jest.advanceTimersByTime(90);
    made.enter(stage);
    jest.advanceTimersByTime(ms - 2);
    expect(late).toEqual([]);
    jest.advanceTimersByTime(20_000);
    expect(late).toEqual([{ what: stage, at: about(90 + ms) }]);
  });

  it('begins to wait for the next token when the first has come, with its shorter time', () => {
    const { clock: made, late } = clock();
    made.enter('first_token');
    jest.advanceTimersByTime(10);
    made.progress();
    jest.advanceTimersByTime(20_000);
    expect(late).toEqual([{ what: 'between_tokens', at: about(60) }]);
  });

  it('sets no timer for an event, and is exact all the same', () => {
    const { clock: made, late } = clock();
    made.enter('between_tokens');
    const set = jest.spyOn(globalThis, 'setTimeout');
    for (let event = 0; event < 1_000; event++) {
      jest.advanceTimersByTime(1);
      made.progress();
    }
    // One for each time of its own, rather than one for each event.
    expect(set.mock.calls.length).toBeLessThanOrEqual(1_000 / 45);
    jest.advanceTimersByTime(20_000);
    expect(late).toEqual([{ what: 'between_tokens', at: about(1_050) }]);
  });

  it('ends as a whole, however well it gets on', () => {
    const { clock: made, late } = clock({ totalTimeoutMs: 500 });
    made.enter('between_tokens');
    for (let event = 0; event < 100; event++) {
      jest.advanceTimersByTime(10);
      made.progress();
    }
    expect(late).toEqual([{ what: 'total', at: about(500) }]);
  });

  it('ends at the deadline of the request when that is earlier', () => {
    const { clock: made, late } = clock({ totalTimeoutMs: 500 }, 400);
    made.enter('between_tokens');
    for (let event = 0; event < 100; event++) {
      jest.advanceTimersByTime(10);
      made.progress();
    }
    expect(late).toEqual([{ what: 'deadline', at: about(400) }]);
  });

  it('waits for no token while the client takes none, but for the whole', () => {
    const { clock: made, late } = clock({ totalTimeoutMs: 5_000 });
    made.enter('between_tokens');
    made.hold(true);
    jest.advanceTimersByTime(4_000);
    expect(late).toEqual([]);
    made.hold(false);
    jest.advanceTimersByTime(48);
    expect(late).toEqual([]);
    jest.advanceTimersByTime(10);
    expect(late).toEqual([{ what: 'between_tokens', at: about(4_050) }]);
  });

  it('ends as a whole also while the client takes none', () => {
    const { clock: made, late } = clock({ totalTimeoutMs: 5_000 });
    made.enter('between_tokens');
    made.hold(true);
    jest.advanceTimersByTime(20_000);
    expect(late).toEqual([{ what: 'total', at: about(5_000) }]);
  });

  it('waits for a connection whether or not the client takes something', () => {
    const { clock: made, late } = clock();
    made.hold(true);
    jest.advanceTimersByTime(20_000);
    expect(late).toEqual([{ what: 'connect', at: about(100) }]);
  });

  it('says nothing any more, and leaves no timer, once stopped', () => {
    const { clock: made, late } = clock();
    made.enter('head');
    made.stop();
    made.stop();
    made.enter('between_tokens');
    made.progress();
    jest.advanceTimersByTime(20_000);
    expect([late, jest.getTimerCount()]).toEqual([[], 0]);
  });

  it('waits for more than Node.js can', () => {
    const { late } = clock({ connectTimeoutMs: 2 ** 40, totalTimeoutMs: 2 ** 40 });
    jest.advanceTimersByTime(20_000);
    expect(late).toEqual([]);
  });
});
