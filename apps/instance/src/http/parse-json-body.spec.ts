import { InferenceError } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { isDeeperThan } from './json-depth.js';
import { parseJsonBody } from './parse-json-body.js';

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

function refusal(text: string | Buffer): InferenceError {
  try {
    parseJsonBody(Buffer.from(text), 64);
  } catch (error) {
    if (error instanceof InferenceError) return error;
  }
  throw new Error('It was taken.');
}

describe('parseJsonBody', () => {
  it.each(['{"a":[1,2.5,"ä\\u00e4",null,true]}', '\uFEFF{"a":1}', nested(64), '{"__proto":1,"constructor":{"a":1}}'])(
    'takes %j',
    (text) => {
      expect(parseJsonBody(Buffer.from(text), 64)).toEqual(JSON.parse(text.replace('\uFEFF', '')));
    },
  );

  it.each([
    ['', 'empty_body'],
    ['{"a":', 'invalid_json'],
    ['{a:1}', 'invalid_json'],
    ['[1] 2', 'invalid_json'],
    [nested(65), 'json_too_deep'],
    [nested(1_000_000), 'json_too_deep'],
    ['['.repeat(100), 'json_too_deep'],
    ['{"__proto__":{"a":1}}', 'forbidden_key'],
    ['{"a":[{"\\u005f_proto__":1}]}', 'forbidden_key'],
    ['{"constructor":{"prototype":{}}}', 'forbidden_key'],
    ['{"\\u0063onstructor":{"prototype":{}}}', 'forbidden_key'],
  ])('refuses %.40j as %s', (text, code) => {
    expect(refusal(text)).toMatchObject({ status: 400, type: 'invalid_request_error', param: null, code });
    expect(({} as { a?: number }).a).toBeUndefined();
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(refusal(Buffer.from([0x22, 0xff, 0x22])).code).toBe('invalid_json');
  });

  it('says where the mistake is, without repeating the text', () => {
    expect(refusal('{"a":1,}').message).toMatch(/not valid JSON: .*at position 7/);
    const { message } = refusal('{"prompt": my secret, "b": "and a long, long, long, long rest of it"}');
    expect(message).toBe("The request body is not valid JSON: Unexpected token 'm'.");
  });
});

describe('isDeeperThan', () => {
  it('does not count brackets in strings', () => {
    expect(isDeeperThan(Buffer.from(JSON.stringify({ a: '[[[[\\"[[[', b: ['{{{{"'] })), 2)).toBe(false);
  });

  it('counts the levels that are open at once, not the brackets', () => {
    expect(isDeeperThan(Buffer.from('[[],[],[],[]]'), 2)).toBe(false);
    expect(isDeeperThan(Buffer.from('[[],[[]]]'), 2)).toBe(true);
  });

  it('agrees with the depth of any value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.integer({ min: 1, max: 6 }), (value, limit) => {
        expect(isDeeperThan(Buffer.from(JSON.stringify(value)), limit)).toBe(depthOf(value) > limit);
      }),
    );
  });
});

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
