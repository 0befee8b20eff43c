import { describe, expect, it } from '@jest/globals';
import { PrefillTimes } from './prefill-times.js';

describe('how long prefills take', () => {
  it('is unknown before enough were seen', () => {
    const times = new PrefillTimes(3);
    times.record(1);
    times.record(2);
    expect(times.usualMs).toBe(Infinity);
    times.record(3);
    expect(times.usualMs).toBe(3);
  });

  it('is what 95 of 100 have taken, in whatever order', () => {
    const times = new PrefillTimes(1);
    for (let i = 0; i < 100; i += 1) times.record(((i * 37) % 100) + 1);
    expect(times.usualMs).toBe(95);
  });

  it('forgets the oldest of them', () => {
    const times = new PrefillTimes(1);
    for (let i = 0; i < 256; i += 1) times.record(1_000);
    for (let i = 0; i < 242; i += 1) times.record(10);
    expect(times.usualMs).toBe(1_000);
    times.record(10);
    times.record(10);
    expect(times.usualMs).toBe(10);
  });
});
