import { describe, expect, it } from '@jest/globals';
import { isJsonObject, parseJson } from './json.js';

describe('parseJson', () => {
  it('drops every __proto__ key', () => {
    const parsed = parseJson('{"a":{"__proto__":{"admin":true},"b":1},"__proto__":{"admin":true}}') as { a: object };
    expect(Object.keys(parsed)).toEqual(['a']);
    expect(Object.keys(parsed.a)).toEqual(['b']);
    expect((Object.assign({}, parsed) as { admin?: boolean }).admin).toBeUndefined();
  });

  it('keeps everything else, and throws on what is not JSON', () => {
    const value = { list: [1, 'x', null, true, { constructor: 'kept' }], nothing: null };
    expect(parseJson(JSON.stringify(value))).toEqual(value);
    expect(() => parseJson('{')).toThrow(SyntaxError);
  });
});

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
