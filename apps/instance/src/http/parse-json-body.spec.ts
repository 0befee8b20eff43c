import { InferenceError, RawJson } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { jsonFault } from './json-depth.js';
import { parseJsonBody } from './parse-json-body.js';

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

const PARSED = { depthLimit: 64, keepsLargeArrays: false };
const KEPT = { depthLimit: 64, keepsLargeArrays: true };
/** Long enough to be kept as bytes. */
const LARGE = `"token_ids":${JSON.stringify(Array.from({ length: 30_000 }, (_, id) => id))}`;

async function refusal(text: string | Buffer, options = PARSED): Promise<InferenceError> {
  try {
    await parseJsonBody(Buffer.from(text), options);
  } catch (error) {
    if (error instanceof InferenceError) return error;
  }
  throw new Error('It was taken.');
}

describe('parseJsonBody', () => {
  it.each(['{"a":[1,2.5,"ä\\u00e4",null,true]}', '\uFEFF{"a":1}', nested(64), '{"__proto":1,"constructor":{"a":1}}'])(
    'takes %j',
    async (text) => {
      expect(await parseJsonBody(Buffer.from(text), PARSED)).toEqual(JSON.parse(text.replace('\uFEFF', '')));
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
  ])('refuses %.40j as %s', async (text, code) => {
    expect(await refusal(text)).toMatchObject({ status: 400, type: 'invalid_request_error', param: null, code });
    expect(({} as { a?: number }).a).toBeUndefined();
  });

  it('refuses bytes that are not UTF-8', async () => {
    expect((await refusal(Buffer.from([0x22, 0xff, 0x22]))).code).toBe('invalid_json');
  });

  it('says where the mistake is, without repeating the text', async () => {
    expect((await refusal('{"a":1,}')).message).toMatch(/not valid JSON: .*at position 7/);
    const { message } = await refusal('{"prompt": my secret, "b": "and a long, long, long, long rest of it"}');
    expect(message).toBe("The request body is not valid JSON: Unexpected token 'm'.");
  });
});

describe('parseJsonBody, keeping large arrays', () => {
  it.each(['', '\uFEFF'])('keeps token ids as bytes, behind %j', async (mark) => {
    const body = await parseJsonBody(Buffer.from(`${mark}{${LARGE},"stream":true}`), KEPT);
    expect(body).toMatchObject({ token_ids: expect.any(RawJson), stream: true });
    expect((body as { token_ids: RawJson }).token_ids).toHaveLength(30_000);
  });

  it.each([KEPT, PARSED])('keeps integers beyond 2^53 exact: %j', async (options) => {
    const text = '"seed":9007199254740993,"text":"\\u00e4"';
    expect(await parseJsonBody(Buffer.from(`{${text}}`), options)).toEqual({ seed: 9_007_199_254_740_993n, text: 'ä' });
    const large = await parseJsonBody(Buffer.from(`{${LARGE},${text}}`), options);
    expect(large).toMatchObject({ seed: 9_007_199_254_740_993n, text: 'ä' });
  });

  it('parses them where the engine is in this process', async () => {
    const body = await parseJsonBody(Buffer.from(`{${LARGE}}`), PARSED);
    expect((body as { token_ids: unknown }).token_ids).toHaveLength(30_000);
    expect((body as { token_ids: unknown }).token_ids).toBeInstanceOf(Array);
  });

  it.each([
    [`{${LARGE},"a":${nested(64)}}`, 'json_too_deep'],
    [`{${LARGE},"a":[${'{},'.repeat(500_000)}{}]}`, 'json_too_many_containers'],
    [`{${LARGE},"__proto__":{"a":1}}`, 'forbidden_key'],
    [`{"a":[{"\\u005f_proto__":1}],${LARGE}}`, 'forbidden_key'],
    [`{${LARGE},"constructor":{"prototype":{}}}`, 'forbidden_key'],
    [`{${LARGE},"a":\u0001}`, 'invalid_json'],
    [`{${LARGE}`, 'invalid_json'],
    [`\uFEFF\uFEFF{${LARGE}}`, 'invalid_json'],
  ])('refuses the same (%#)', async (text, code) => {
    const [kept, parsed] = [await refusal(text, KEPT), await refusal(text, PARSED)];
    expect(kept.code).toBe(code);
    expect(kept.toBody()).toEqual(parsed.toBody());
  });
});

const isDeeperThan = (json: Uint8Array, depthLimit: number): boolean =>
  jsonFault(json, { depthLimit, containerLimit: Infinity }) === 'too_deep';

describe('jsonFault', () => {
  it('counts objects and lists, but not those in strings', () => {
    const bounds = { depthLimit: 9, containerLimit: 3 };
    expect(jsonFault(Buffer.from('{"a":[{}]}'), bounds)).toBeUndefined();
    expect(jsonFault(Buffer.from('{"a":[{},{}]}'), bounds)).toBe('too_many');
    expect(jsonFault(Buffer.from('{"a":"[[[[{{{{"}'), bounds)).toBeUndefined();
  });

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
