import { inferenceRequest } from '@baton/inference';
import { expect, it } from '@jest/globals';
import { PrefillPace } from './prefill-pace.js';

const prompt = (bytes: number, withinMs: number) =>
  inferenceRequest('completions', { prompt: 'x'.repeat(bytes) }, { deadlineMs: performance.now() + withinMs });

it('learns nothing of long prompts from short ones', () => {
  const pace = new PrefillPace();
  for (let count = 0; count < 64; count += 1) pace.record(prompt(2, 1_000), 40);
  expect(() => pace.assertInTime(prompt(100_000, 1_000))).not.toThrow();
});

it('refuses what the fastest tenth of similar prompts says cannot be done', () => {
  const pace = new PrefillPace();
  for (let count = 0; count < 64; count += 1) pace.record(prompt(10_000, 1_000), 1_000 + count);
  expect(() => pace.assertInTime(prompt(10_000, 900))).toThrow(expect.objectContaining({ code: 'deadline_exceeded' }));
  expect(() => pace.assertInTime(prompt(10_000, 2_000))).not.toThrow();
  expect(() => pace.assertInTime(prompt(1_000, 900))).not.toThrow();
});

it('refuses what has no time left, and nothing that has no deadline', () => {
  const pace = new PrefillPace();
  expect(() => pace.assertInTime(prompt(1, -1))).toThrow(expect.objectContaining({ status: 504 }));
  expect(() => pace.assertInTime(inferenceRequest('completions', { prompt: 'x' }))).not.toThrow();
});
