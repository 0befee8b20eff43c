import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CallCancelled, letEnd } from './let-end.js';

describe('letEnd', () => {
  const controller = {
    abort: jest.fn<(reason: Error) => void>(),
    resume: jest.fn(),
    pause: jest.fn(),
    aborted: false,
    paused: false,
    reason: null,
  };

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask'] });
    jest.clearAllMocks();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('lets a paused exchange go on, but not while another is read', async () => {
    letEnd(controller);
    expect(controller.resume).not.toHaveBeenCalled();
    await Promise.resolve();
    expect(controller.resume).toHaveBeenCalledTimes(1);
  });

  it('closes it when it has not ended within a second', () => {
    letEnd(controller);
    jest.advanceTimersByTime(999);
    expect(controller.abort).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    expect(controller.abort).toHaveBeenCalledWith(expect.any(CallCancelled));
  });

  it('leaves nothing behind when it has ended', () => {
    letEnd(controller)();
    expect(jest.getTimerCount()).toBe(0);
    jest.advanceTimersByTime(5_000);
    expect(controller.abort).not.toHaveBeenCalled();
  });
});
