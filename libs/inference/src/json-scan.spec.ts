import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { jsonFault, JsonScan, readJsonString, type JsonBounds } from './json-scan.js';

const fault = (text: string, bounds: JsonBounds): string | undefined => jsonFault(Buffer.from(text), bounds);
const isDeeperThan = (text: string, depth: number): boolean => fault(text, { depth }) === 'depth';

function facts(text: string): { isLong: boolean; isHuge: boolean } {
  const scan = new JsonScan(Buffer.from(text), {});
  scan.read(0, Buffer.byteLength(text));
  return { isLong: scan.hasLongInteger, isHuge: scan.hasHugeNumber };
}

describe('jsonFault', () => {
  it('counts objects and lists, but not those in strings', () => {
    expect(fault('{"a":[{}]}', { containers: 3 })).toBeUndefined();
    expect(fault('{"a":[{},{}]}', { containers: 3 })).toBe('containers');
    expect(fault('{"a":"[[[[{{{{"}', { containers: 3 })).toBeUndefined();
  });

  it('counts keys, values and strings', () => {
    expect(fault('{"a:b":1,"b":{"c":",,,::"}}', { keys: 3, items: 3, strings: 4 })).toBeUndefined();
    expect(fault('{"a":1,"b":{"c":2}}', { keys: 2 })).toBe('keys');
    expect(fault('[1,2,3]', { items: 2 })).toBe('items');
    expect(fault('["a","b"]', { strings: 1 })).toBe('strings');
  });

  it('counts integers that may not fit, and no other digits', () => {
    expect(fault('[1234567890123456,-1234567890123456]', { longIntegers: 1 })).toBe('longIntegers');
    expect(fault('[0.1234567890123456789,123456789012345,"1234567890123456"]', { longIntegers: 0 })).toBeUndefined();
  });

  it('does not count brackets in strings', () => {
    expect(isDeeperThan(JSON.stringify({ a: '[[[[\\"[[[', b: ['{{{{"'] }), 2)).toBe(false);
  });

  it('counts the levels that are open at once, not the brackets', () => {
    expect(isDeeperThan('[[],[],[],[]]', 2)).toBe(false);
    expect(isDeeperThan('[[],[[]]]', 2)).toBe(true);
  });

  it('agrees with any value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.integer({ min: 1, max: 6 }), (value, limit) => {
        const text = JSON.stringify(value);
        expect(isDeeperThan(text, limit)).toBe(depthOf(value) > limit);
        const [keys, strings] = [keysIn(value), stringsIn(value)];
        expect(fault(text, { keys, strings })).toBeUndefined();
        if (keys > 0) expect(fault(text, { keys: keys - 1 })).toBe('keys');
        if (strings > 0) expect(fault(text, { strings: strings - 1 })).toBe('strings');
      }),
    );
  });

  it('counts the same in pieces', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.integer({ min: 1, max: 9 }), (value, step) => {
        const json = Buffer.from(JSON.stringify(value));
        const scan = new JsonScan(json, { keys: keysIn(value), strings: stringsIn(value), depth: depthOf(value) });
        let at = 0;
        while (at < json.length) {
          const read = scan.read(at, Math.min(json.length, at + step));
          expect(read).toBeGreaterThan(at);
          at = Number(read);
        }
        expect(at).toBe(json.length);
      }),
    );
  });
});

describe('JsonScan', () => {
  it.each([
    ['1e400', true],
    ['1E+999', true],
    ['-1e309', true],
    ['1'.repeat(400), true],
    ['1e99', false],
    ['123456.5e30', false],
    ['"1e400"', false],
  ])('says whether %.20s may be beyond the largest number: %s', (text, isHuge) => {
    expect(facts(`[${text}]`).isHuge).toBe(isHuge);
  });

  it('overlooks no number that becomes Infinity, and no integer that loses digits', () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.integer({ min: -400, max: 400 }), (digits, exponent) => {
        const text = `${digits}e${exponent}`;
        if (!Number.isFinite(Number(text))) expect(facts(text).isHuge).toBe(true);
        if (BigInt(Number(digits)) !== digits) expect(facts(String(digits)).isLong).toBe(true);
      }),
    );
  });
});

describe('readJsonString', () => {
  const units = fc.constantFrom('"', '\\', 'a', 'ä', '\n', 'a'.repeat(60));

  it('finds the end of any string, in pieces of any length', () => {
    fc.assert(
      fc.property(fc.string({ unit: units, maxLength: 30 }), fc.integer({ min: 1, max: 400 }), (text, step) => {
        const written = JSON.stringify(text);
        const json = Buffer.from(`${written},"x"`);
        let [at, isOver] = [1, false];
        while (!isOver && at < json.length) ({ end: at, isOver } = readJsonString(json, at, at + step));
        expect([at, isOver]).toEqual([Buffer.byteLength(written), true]);
      }),
    );
  });

  it.each(['"abc\\"', '"abc', '"abc\\', `"${'a'.repeat(1_000)}`, `"${'\\"'.repeat(1_000)}`])(
    'goes to the end of the text when there is none (%#)',
    (text) => {
      expect(readJsonString(Buffer.from(text), 1, Infinity)).toEqual({ end: text.length, isOver: false });
    },
  );
});

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function keysIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce<number>((sum, item) => sum + keysIn(item), own);
}

function stringsIn(value: unknown): number {
  if (typeof value === 'string') return 1;
  if (typeof value !== 'object' || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce<number>((sum, item) => sum + stringsIn(item), own);
}
