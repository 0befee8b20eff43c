import { describe, expect, it } from '@jest/globals';
import { parseJson, stringifyJson } from './json.js';

describe('JSON with exact integers', () => {
  it('keeps integers beyond 2^53 digit for digit, and no others', () => {
    const text =
      '{"room":9223372036854775807,"small":9007199254740991,"negative":-9223372036854775808,"list":[12345678901234567890]}';
    expect(parseJson(text)).toEqual({
      room: 9223372036854775807n,
      small: 9007199254740991,
      negative: -9223372036854775808n,
      list: [12345678901234567890n],
    });
    expect(stringifyJson(parseJson(text))).toBe(text);
  });

  it('touches neither strings nor fractions', () => {
    const text = '{"a\\\\":"9223372036854775807","b":"\\"1234567890123456789","c":0.12345678901234567,"d":1e30}';
    const plain: unknown = JSON.parse(text);
    expect(parseJson(text)).toEqual(plain);
  });

  it('stands very long strings', () => {
    const text = `{"a":"${'x'.repeat(20_000_000)}","b":9223372036854775807}`;
    expect(parseJson(text)).toMatchObject({ b: 9223372036854775807n });
  });
});
