import { inferenceRequest } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { holds } from './condition.js';
import type { DisaggregateWhen } from './manager-settings.js';
import { PromptSize } from './prompt-size.js';

const request = inferenceRequest(
  'completions',
  { model: 'm', prompt: 'a prompt of 24 bytes.....', n: 2 },
  { clientHeaders: { 'x-tier': 'gold', 'x-many': ['a', 'b'] } },
);
const isMet = (when: DisaggregateWhen, asked = request): boolean => holds(when, asked, new PromptSize(asked));

describe('a condition', () => {
  it.each<[DisaggregateWhen, boolean]>([
    [{}, true],
    [{ minPromptBytes: 25 }, true],
    [{ minPromptBytes: 26 }, false],
    [{ minPromptTokens: 7 }, true],
    [{ minPromptTokens: 8 }, false],
    [{ apis: ['chat', 'completions'] }, true],
    [{ apis: ['chat'] }, false],
    [{ models: ['m'] }, true],
    [{ models: ['n'] }, false],
    [{ maxChoices: 2 }, true],
    [{ maxChoices: 1 }, false],
    [{ header: { name: 'X-Tier' } }, true],
    [{ header: { name: 'x-other' } }, false],
    [{ header: { name: 'x-tier', value: 'gold' } }, true],
    [{ header: { name: 'x-tier', value: 'Gold' } }, false],
    [{ header: { name: 'x-many', value: 'b' } }, true],
    [{ header: { name: 'x-many', value: 'c' } }, false],
  ])('%j holds: %s', (when, isHeld) => {
    expect(isMet(when)).toBe(isHeld);
  });

  it('holds when all of it does', () => {
    const all: DisaggregateWhen = {
      minPromptTokens: 7,
      minPromptBytes: 25,
      apis: ['completions'],
      models: ['m'],
      maxChoices: 2,
      header: { name: 'x-tier', value: 'gold' },
    };
    expect(isMet(all)).toBe(true);
    const failing: DisaggregateWhen[] = [
      { minPromptTokens: 8 },
      { minPromptBytes: 26 },
      { apis: ['generate'] },
      { models: [] },
      { maxChoices: 1 },
      { header: { name: 'x' } },
    ];
    for (const other of failing) expect(isMet({ ...all, ...other })).toBe(false);
  });

  it('on the model does not hold for a request without one', () => {
    expect(isMet({ models: ['m'] }, inferenceRequest('completions', { prompt: 'x' }))).toBe(false);
  });

  it('on choices reads those of the token endpoint, and takes one for granted', () => {
    expect(isMet({ maxChoices: 1 }, inferenceRequest('generate', { sampling_params: { n: 3 } }))).toBe(false);
    expect(isMet({ maxChoices: 1 }, inferenceRequest('generate', { token_ids: [1] }))).toBe(true);
  });
});
