import { deadlineExceeded, invalidRequest, upstreamError } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { RemoteUnavailableError } from '../remote-unavailable.error.js';
import { Breaker, hasAnswered } from './breaker.js';

function breaker(random = 0.5): { made: Breaker; wait: (ms: number) => void; fail: (times: number) => void } {
  let now = 0;
  const made = new Breaker({ failures: 3, openMs: 1_000, now: () => now, random: () => random });
  return {
    made,
    wait: (ms) => (now += ms),
    fail: (times) => {
      for (let time = 0; time < times; time++) made.failed();
    },
  };
}

describe('Breaker', () => {
  it('opens after so many failures in a row', () => {
    const { made, fail } = breaker();
    fail(2);
    made.succeeded();
    fail(2);
    expect([made.state, made.allows]).toEqual(['closed', true]);
    fail(1);
    expect([made.state, made.allows]).toEqual(['open', false]);
  });

  it('lets one leg at a time find out whether the endpoint is back', () => {
    const { made, fail, wait } = breaker();
    fail(3);
    wait(1_000);
    expect([made.state, made.allows]).toEqual(['half_open', true]);
    const trial = made.begin();
    expect(made.allows).toBe(false);
    // One that is sent all the same, since there is nobody else, is no trial.
    made.end(made.begin());
    expect(made.allows).toBe(false);
    made.end(trial);
    made.end(trial);
    expect([made.state, made.allows]).toEqual(['half_open', true]);
  });

  it('closes when the trial is answered, and opens again when not', () => {
    const { made, fail, wait } = breaker();
    fail(3);
    wait(1_000);
    made.begin();
    fail(1);
    expect(made.state).toBe('open');
    wait(1_000);
    made.succeeded();
    expect(made.state).toBe('closed');
    fail(2);
    expect(made.state).toBe('closed');
  });

  it('opens at once for what says that it is about to stop, and finds out whether it is back', () => {
    const { made, wait } = breaker();
    made.stopping();
    expect(made.state).toBe('open');
    wait(600);
    made.stopping();
    wait(400);
    expect(made.state).toBe('half_open');
    made.succeeded();
    expect(made.state).toBe('closed');
  });

  it('is not kept open by what fails while it is', () => {
    const { made, fail, wait } = breaker();
    fail(3);
    wait(900);
    fail(10);
    wait(100);
    expect(made.state).toBe('half_open');
  });

  it.each([
    [0, 800],
    [0.999_999, 1_200],
  ])('stays open for a fifth more or less (%d)', (random, ms) => {
    const { made, fail, wait } = breaker(random);
    fail(3);
    wait(ms - 1);
    expect(made.state).toBe('open');
    wait(1);
    expect(made.state).toBe('half_open');
  });

  it('never opens when it is off', () => {
    const off = new Breaker({ failures: 0, openMs: 1_000 });
    for (let time = 0; time < 100; time++) off.failed();
    off.stopping();
    expect(off.state).toBe('closed');
  });
});

describe('hasAnswered', () => {
  const remote = (...[reason, status]: [ConstructorParameters<typeof RemoteUnavailableError>[1], number?]): unknown =>
    new RemoteUnavailableError('d:1', reason, undefined, status);

  it.each([
    ['no connection', remote('connect'), false],
    ['a reset', remote('reset'), false],
    ['no head in time', remote('timeout'), false],
    ['502', remote('failed', 502), false],
    ['503', remote('busy', 503), false],
    ['504', remote('failed', 504), false],
    ['500', remote('failed', 500), true],
    ['429', remote('busy', 429), true],
    ['400', invalidRequest('no', null), true],
    ['no answer in it', upstreamError('bad_upstream_answer', 'no'), true],
    ['a deadline', deadlineExceeded(), undefined],
    ['no place', remote('busy'), undefined],
  ])('knows what %s says', (_what, error, expected) => {
    expect(hasAnswered(error)).toBe(expected);
  });
});
