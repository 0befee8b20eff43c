import { expect, it } from '@jest/globals';
import { hopsOf } from './hops.js';

it.each([
  ['0', 0],
  ['4', 4],
  ['-1', 0],
  ['1, 2', 0],
  ['four', 0],
  ['', 0],
  [undefined, 0],
])('%j are %d hops', (value, hops) => {
  expect(hopsOf(value === undefined ? {} : { 'x-baton-hops': value })).toBe(hops);
});

it.each(['5', '99', '999999999'])('%s hops are a circle', (value) => {
  expect(() => hopsOf({ 'x-baton-hops': value })).toThrow(
    expect.objectContaining({ status: 508, code: 'loop_detected' }),
  );
});
