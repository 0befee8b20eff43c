import { ANONYMOUS, type Caller } from '@baton/inference';
import { expect, it } from '@jest/globals';
import { hopsOf } from './hops.js';

const PEER: Caller = { trust: 'peer', label: 'p' };

it.each([
  ['0', 0],
  ['4', 4],
  ['-1', 0],
  ['1, 2', 0],
  ['four', 0],
  ['', 0],
  [undefined, 0],
])('%j of a peer are %d hops', (value, hops) => {
  expect(hopsOf(value === undefined ? {} : { 'x-baton-hops': value }, PEER)).toBe(hops);
});

it.each(['5', '99', '999999999'])('%s hops are a circle', (value) => {
  expect(() => hopsOf({ 'x-baton-hops': value }, PEER)).toThrow(
    expect.objectContaining({ status: 508, code: 'loop_detected' }),
  );
});

it.each(['3', '99'])('%s hops of a client do not count', (value) => {
  expect(hopsOf({ 'x-baton-hops': value }, ANONYMOUS)).toBe(0);
});
