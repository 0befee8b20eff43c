import { describe, expect, it } from '@jest/globals';
import { validateSync } from 'class-validator';
import { HedgedPrefillOptions } from './hedged-prefill.options.js';

const faultsOf = (said: object): readonly string[] =>
  validateSync(Object.assign(new HedgedPrefillOptions(), said)).map(({ property }) => property);

describe('the options', () => {
  it('have defaults', () => {
    const options = new HedgedPrefillOptions();
    expect({ ...options }).toEqual({ delayMs: undefined, maxPercent: 10, minSamples: 20 });
    expect(faultsOf({})).toEqual([]);
    expect(faultsOf({ delayMs: 1, maxPercent: 0.5, minSamples: 256 })).toEqual([]);
  });

  it.each([
    ['delayMs', [0, 0.5, '5', 600_001, Infinity]],
    ['maxPercent', [-1, 101, NaN, '5', null]],
    ['minSamples', [0, 257, 1.5, null]],
  ])('refuse what %s cannot be', (name, values) => {
    for (const value of values)
      expect({ value, faults: faultsOf({ [name]: value }) }).toEqual({ value, faults: [name] });
  });
});
