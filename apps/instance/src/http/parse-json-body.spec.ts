import { InferenceError, RawJson } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
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
    [`{${LARGE},"a":[${'{},'.repeat(100_000)}{}]}`, 'json_too_many_containers'],
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

describe('parseJsonBody, what there is too much of', () => {
  it.each([
    [`{${Array.from({ length: 50_001 }, (_, key) => `"${key}":1`).join()}}`, 'json_too_many_keys'],
    [`[${'1,'.repeat(1_000_000)}1]`, 'json_too_many_values'],
    [`[${'"a",'.repeat(100_000)}"a"]`, 'json_too_many_strings'],
    [`[${'1234567890123456,'.repeat(10_000)}1234567890123456]`, 'json_too_many_long_integers'],
  ])('is refused (%#)', async (text, code) => {
    for (const options of [PARSED, KEPT]) expect(await refusal(text, options)).toMatchObject({ status: 400, code });
  });

  it('does not count token ids that stay as they came', async () => {
    const text = `{"token_ids":[${'1,'.repeat(1_000_000)}1],"a":[1,2]}`;
    expect(await parseJsonBody(Buffer.from(text), KEPT)).toMatchObject({ a: [1, 2] });
    expect(await refusal(text, PARSED)).toMatchObject({ code: 'json_too_many_values' });
  });

  it('can be set', async () => {
    const options = { ...PARSED, keyLimit: 2, itemLimit: 3 };
    expect(await parseJsonBody(Buffer.from('{"a":1,"b":[2,3]}'), options)).toEqual({ a: 1, b: [2, 3] });
    expect(await refusal('{"a":1,"b":2,"c":3}', options)).toMatchObject({ code: 'json_too_many_keys' });
    expect(await refusal('[1,2,3,4]', options)).toMatchObject({ code: 'json_too_many_values' });
  });
});

describe('parseJsonBody, values that would change further on', () => {
  it.each([
    ['{"a":"\\ud800"}', 'invalid_unicode'],
    ['{"a":["\\uDC00\\uD800"]}', 'invalid_unicode'],
    ['{"\\ud83d":1}', 'invalid_unicode'],
    ['{"a":1e400}', 'number_out_of_range'],
    ['{"a":-1E+400}', 'number_out_of_range'],
    [`{"a":1${'0'.repeat(400)}}`, 'number_out_of_range'],
  ])('refuses %.40s as %s', async (text, code) => {
    for (const options of [PARSED, KEPT]) expect(await refusal(text, options)).toMatchObject({ status: 400, code });
  });

  it.each(['{"a":"\\ud83d\\ude00"}', '{"a":1e-400,"b":1e308,"c":"1e400"}', '{"a":1,"a":{"b":2}}', '{"a":"\\u0000"}'])(
    'takes %s, the last of equal keys',
    async (text) => {
      expect(await parseJsonBody(Buffer.from(text), PARSED)).toEqual(JSON.parse(text));
    },
  );
});
