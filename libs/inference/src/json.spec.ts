import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isJsonObject, parseJson, stringifyJson } from './json.js';

/** Integers on both sides of what a number holds exactly, up to 64 bits and far beyond. */
const integer = fc.oneof(
  fc.bigInt({ min: 2n ** 53n - 4n, max: 2n ** 53n + 4n }),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }),
  fc.bigInt({ min: -(2n ** 64n), max: -(2n ** 53n) }),
  fc.bigInt({ min: 10n ** 100n, max: 10n ** 127n }),
);
/** Zero has one sign in JSON, and an integer that is written in full is one, whatever it was before. */
const number = fc
  .oneof(fc.double({ noDefaultInfinity: true, noNaN: true }), fc.integer())
  .filter((value) => !Number.isInteger(value) || Number.isSafeInteger(value) || Math.abs(value) >= 1e21)
  .map((value) => value + 0);
const exact = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

/** A value that JSON carries, with long integers in it, and without a key that is dropped. */
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    integer.map(exact),
    number,
    fc.oneof(
      fc.string({ unit: 'binary' }),
      integer.map(String),
      integer.map((id) => `{"id":${id}}`),
    ),
    fc.constantFrom(null, true, false),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(fc.string(), integer.map(String)).filter((key) => key !== '__proto__'),
      tie('any'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
})).any;

describe('parseJson', () => {
  it('drops every __proto__ key', () => {
    const parsed = parseJson('{"a":{"__proto__":{"admin":true},"b":1},"__proto__":{"admin":true}}') as { a: object };
    expect(Object.keys(parsed)).toEqual(['a']);
    expect(Object.keys(parsed.a)).toEqual(['b']);
    expect((Object.assign({}, parsed) as { admin?: boolean }).admin).toBeUndefined();
  });

  it('drops those that are spelled with escapes, and those in lists', () => {
    expect(parseJson('[{"__pr\\u006fto__":1,"id":12345678901234567890}]')).toEqual([{ id: 12345678901234567890n }]);
  });

  it('keeps everything else, and throws on what is not JSON', () => {
    const value = { list: [1, 'x', null, true, { constructor: 'kept' }], nothing: null };
    expect(parseJson(JSON.stringify(value))).toEqual(value);
    expect(() => parseJson('{')).toThrow(SyntaxError);
  });

  it.each([
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['-9007199254740993', -9007199254740993n],
    ['{"bootstrap_room":9223372036854775807}', { bootstrap_room: 9223372036854775807n }],
    [' [ 18446744073709551615 ,\n1]', [18446744073709551615n, 1]],
    ['"9223372036854775807"', '9223372036854775807'],
    ['["\\"9223372036854775807", "\\\\", 9223372036854775807]', ['"9223372036854775807', '\\', 9223372036854775807n]],
    ['{"9223372036854775807":9223372036854775807}', { '9223372036854775807': 9223372036854775807n }],
    ['-0.69314718055994530941', -0.6931471805599453],
    ['9223372036854775807.0', 2 ** 63],
    ['9223372036854775807e1', 2 ** 63 * 10],
    ['1e22', 1e22],
  ])('reads %s', (text, value) => {
    expect(parseJson(text)).toEqual(value);
  });

  it.each([
    '{9223372036854775807:1}',
    '{9223372036854775807 \n :1}',
    '09223372036854775807',
    '[9223372036854775807',
    '9223372036854775807-1',
    '-',
    '[--9223372036854775807]',
    '"a"9223372036854775807',
    '9223372036854775807"a"',
    '9223372036854775807 9223372036854775807',
    '+9223372036854775807',
    '{"a":"9223372036854775807}',
    '["\\',
  ])('refuses %s with the error that JSON.parse has for it', (text) => {
    const messageOf = (action: () => unknown): string => {
      try {
        return String(action());
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(() => parseJson(text)).toThrow(SyntaxError);
    expect(messageOf(() => parseJson(text))).toBe(messageOf(() => JSON.parse(text)));
  });

  it('refuses exactly what JSON.parse refuses, also when it is nearly JSON', () => {
    const piece = fc.constantFrom(...'[]{}:,"\\-0 ', '9223372036854775807', '"a"', '"a":', '1.5', 'e', 'null');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        const accepts = (parse: (text: string) => unknown): boolean => {
          try {
            parse(text);
            return true;
          } catch {
            return false;
          }
        };
        expect(accepts(parseJson)).toBe(accepts(JSON.parse));
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves integers that are nobody’s id as the numbers that JSON.parse makes of them', () => {
    const digits = '9'.repeat(129);
    expect(parseJson(`[${digits},9007199254740993]`)).toEqual([Number(digits), 9007199254740993n]);
  });

  it('takes hostile text without a stack and in time in proportion to it', () => {
    const size = 2 ** 21;
    const deep = parseJson(`${'['.repeat(100_000)}9007199254740993${']'.repeat(100_000)}`);
    expect(Array.isArray(deep)).toBe(true);
    expect(parseJson(`["${'\\\\'.repeat(size)}",9007199254740993]`)).toHaveLength(2);
    expect(parseJson(`["${'a'.repeat(size)}","__proto__",9007199254740993]`)).toHaveLength(3);
    expect(parseJson(`[9007199254740993${' '.repeat(size)}]`)).toEqual([9007199254740993n]);
    expect(() => parseJson('9'.repeat(size) + 'x')).toThrow(SyntaxError);
  });
});

describe('stringifyJson', () => {
  it('writes bigints as digits, and strings that look like them as strings', () => {
    const id = 9223372036854775807n;
    expect(stringifyJson({ id, text: String(id), list: [-id, `"${id}"`], 1: 0.5 })).toBe(
      '{"1":0.5,"id":9223372036854775807,"text":"9223372036854775807","list":[-9223372036854775807,"\\"9223372036854775807\\""]}',
    );
  });

  it('writes everything else as JSON.stringify does, whether or not there is a bigint', () => {
    const value = {
      date: new Date(0),
      nothing: undefined,
      list: [undefined, NaN, () => 1],
      bytes: Buffer.from('a'),
      map: new Map([[1, 2]]),
      text: '\ud800\u2028$1$&',
    };
    const text = JSON.stringify(value);
    expect(stringifyJson(value)).toBe(text);
    expect(stringifyJson({ ...value, id: 1n })).toBe(`${text.slice(0, -1)},"id":1}`);
  });

  it('throws on what cannot be written', () => {
    const circle: Record<string, unknown> = { id: 1n };
    circle['self'] = circle;
    expect(() => stringifyJson(circle)).toThrow(TypeError);
  });

  it('is undone by parseJson, whatever the integers, and writes what JSON.stringify writes where there are none', () => {
    fc.assert(
      fc.property(value, (value) => {
        const text = stringifyJson(value);
        expect(parseJson(text)).toEqual(value);
        expect(stringifyJson(parseJson(text))).toBe(text);
        // A number is not a bigint: `toEqual` tells them apart, and so does JSON.
        expect(JSON.stringify(JSON.parse(text))).toBe(JSON.stringify(asNumbers(value)));
      }),
      { numRuns: 500 },
    );
  });
});

function asNumbers(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(asNumbers);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asNumbers(item)]));
}

describe('isJsonObject', () => {
  it.each([
    [{}, true],
    [null, false],
    [[], false],
    ['x', false],
    [undefined, false],
  ])('of %j is %s', (value, is) => {
    expect(isJsonObject(value)).toBe(is);
  });
});
