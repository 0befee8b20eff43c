import { describe, expect, it } from '@jest/globals';
import type { Caller } from '../caller.js';
import { digestOfKey, KeyRing } from './key-ring.js';
import { presentedKey } from './presented-key.js';

const holder = (label: string, key: string, trust: Caller['trust'] = 'client') => ({
  caller: { trust, label },
  sha256: digestOfKey(key),
});

describe('KeyRing', () => {
  const ring = new KeyRing([
    holder('a', 'key-of-a'),
    holder('b', 'key-of-b', 'peer'),
    holder('c', 'key-of-c', 'admin'),
  ]);

  it('tells whose a key is', () => {
    expect(ring.callerOf('key-of-a')).toEqual({ trust: 'client', label: 'a' });
    expect(ring.callerOf('key-of-b')).toEqual({ trust: 'peer', label: 'b' });
    expect(ring.callerOf('key-of-c')).toEqual({ trust: 'admin', label: 'c' });
    expect(ring.size).toBe(3);
  });

  it.each(['', 'key-of-', 'key-of-aa', 'KEY-OF-A', digestOfKey('key-of-a')])('does not know %j', (key) => {
    expect(ring.callerOf(key)).toBeUndefined();
    expect(new KeyRing([]).callerOf(key)).toBeUndefined();
  });
});

describe('presentedKey', () => {
  it.each([
    [{ authorization: 'Bearer abc' }, 'abc'],
    [{ authorization: 'bEARER  abc' }, 'abc'],
    [{ 'x-api-key': 'abc' }, 'abc'],
    [{ authorization: 'Bearer abc', 'x-api-key': 'def' }, 'abc'],
    [{ authorization: 'Basic abc', 'x-api-key': 'def' }, 'def'],
    [{ authorization: 'Basic abc' }, undefined],
    [{ authorization: 'Bearer ' }, undefined],
    [{ authorization: 'Bearer a b' }, undefined],
    [{ 'x-api-key': '' }, undefined],
    [{}, undefined],
  ])('of %j is %j', (headers, key) => {
    expect(presentedKey(headers)).toBe(key);
  });
});
