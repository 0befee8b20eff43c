import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { parseJson, stringifyJson, type JsonObject } from './json.js';
import { parseBody } from './parse-body.js';
import { jsonChunks, RawJson } from './raw-json.js';

/** Short texts count as long. */
const TINY = { rawArraysFromBytes: 4 };

async function parsed(text: string): Promise<JsonObject> {
  return (await parseBody(Buffer.from(text), TINY)) as JsonObject;
}

/** What becomes of a text: its value, or the message of the error. */
async function outcome(parse: () => unknown): Promise<unknown> {
  try {
    return { value: stringifyJson(await parse()) };
  } catch (error) {
    return { name: (error as Error).name, message: (error as Error).message };
  }
}

async function expectAsParsedWhole(text: string): Promise<void> {
  expect(await outcome(() => parsed(text))).toEqual(await outcome(() => parseJson(text)));
}

describe('parseBody', () => {
  it('keeps large arrays of token ids as the bytes they are', async () => {
    const bytes = Buffer.from('{"model":"m", "token_ids" : [0, 17 ,\n999999999\t] ,"prompt":[1,2],"stream":true}');
    const body = (await parseBody(bytes, TINY)) as { token_ids: RawJson; prompt: RawJson };
    expect(Object.keys(body)).toEqual(['model', 'token_ids', 'prompt', 'stream']);
    expect(body.token_ids).toBeInstanceOf(RawJson);
    expect(body.token_ids).toHaveLength(3);
    expect(Buffer.from(body.token_ids.bytes).toString()).toBe('[0, 17 ,\n999999999\t]');
    expect(body.token_ids.bytes.buffer).toBe(bytes.buffer);
    expect(body.prompt.toArray()).toEqual([1, 2]);
  });

  it.each([
    ['shorter than the bound', '{"token_ids":[1]}'],
    ['under another key', '{"tokens":[1,2,3]}'],
    ['deeper', '{"a":{"token_ids":[1,2,3]},"token_id\\"s":"\\"token_ids\\":[1,2,3]"}'],
    ['of an array', '[{"token_ids":[1,2,3]}]'],
    ['of lists', '{"prompt":[[1,2],[3,4]]}'],
    ['of texts', '{"prompt":["a","b"]}'],
    ['empty', '{"token_ids":[      ]}'],
    ['with a fraction', '{"token_ids":[1,2.0,3]}'],
    ['with an exponent', '{"token_ids":[1,2e3,3]}'],
    ['with a sign', '{"token_ids":[1,-2,3]}'],
    ['with a number that no vocabulary has', '{"token_ids":[1,4294967296,3]}'],
    ['with another value', '{"token_ids":[1,null,3]}'],
    ['whose key is there twice', '{"token_ids":[1,2,3],"token_ids":[4,5,6]}'],
    ['whose key is there twice, the second time with a text', '{"token_ids":[1,2,3],"token_ids":"x"}'],
    ['whose key is there again, with an escape', '{"token_ids":[1,2,3],"token\\u005fids":[4,5,6]}'],
    ['whose key has an escape', '{"token\\u005fids":[1,2,3],"b":"\\"prompt\\""}'],
  ])('parses an array %s', async (_what, text) => {
    const body = await parsed(text);
    expect(Object.values(body).some((value) => value instanceof RawJson)).toBe(false);
    await expectAsParsedWhole(text);
  });

  it.each([
    '{"token_ids":[1,2,3]',
    '{"token_ids":[1,2,3',
    '{"token_ids":[1,2,3,',
    '{"token_ids":[1,2,3,]}',
    '{"token_ids":[,1,2,3]}',
    '{"token_ids":[1 2,3,4]}',
    '{"token_ids":[01,2,3]}',
    '{"token_ids":[1,2,3]]}',
    '{"token_ids":[1,2,3]}}',
    '{"token_ids":[1,2,3]} {"a":1}',
    '{"token_ids":[1,2,3].5}',
    '{"token_ids":[1,2,3]e5}',
    '{"token_ids":[1,2,3]5}',
    '{"token_ids":[1,2,3]"a":1}',
    '{"token_ids":[1,2,3],}',
    '{"token_ids":[1,2,3],"a"}',
    '{"token_ids":[1,2,3],"a":}',
    '{"token_ids":[1,2,3],"a":[}',
    '{"token_ids":[1,2,3],"a":"\u0001"}',
    '{"a":truly,"token_ids":[1,2,3]}',
    '{"a":"x\\q","token_ids":[1,2,3]}',
    '{"a":"x","token_ids":[1,2,3]',
    '{"a":],"token_ids":[1,2,3]}',
    '{a:1,"token_ids":[1,2,3]}',
    '{"token_ids"[1,2,3]}',
    ' "token_ids":[1,2,3]}',
  ])('refuses %j as it does the whole text', async (text) => {
    expect(await outcome(() => parsed(text))).toMatchObject({ name: 'SyntaxError' });
    await expectAsParsedWhole(text);
  });

  it('keeps integers beyond 2^53 exact', async () => {
    const text = '{"token_ids":[1,2,3],"seed":9007199254740993}';
    expect(await parsed(text)).toMatchObject({ seed: 9_007_199_254_740_993n });
  });

  it('parses the rest as it is told to, and throws what that throws', async () => {
    const json = Buffer.from('{"token_ids":[1,2,3],"a":1}');
    const parse = (text: string): unknown => ({ text });
    expect(await parseBody(json, { ...TINY, parse })).toMatchObject({ text: '{"token_ids":null,"a":1}' });
    const refuse = (): never => {
      throw new RangeError('not that');
    };
    await expect(parseBody(json, { ...TINY, parse: refuse })).rejects.toThrow(RangeError);
  });

  it('sets no prototype', async () => {
    const body = await parseBody(Buffer.from('{"__proto__":{"a":1},"token_ids":[1,2,3]}'), {
      ...TINY,
      parse: (text) => JSON.parse(text) as unknown,
    });
    expect(Object.hasOwn(body as object, '__proto__')).toBe(true);
    expect(({} as { a?: number }).a).toBeUndefined();
  });

  it('reads an array that takes several turns of the event loop', async () => {
    const ids = Array.from({ length: 2_000_000 }, (_, index) => index % 1_000);
    const body = (await parseBody(Buffer.from(JSON.stringify({ token_ids: ids })))) as { token_ids: RawJson };
    expect(body.token_ids).toHaveLength(ids.length);
    expect(body.token_ids.toArray().join()).toBe(ids.join());
  });
});

describe('parseBody, then jsonChunks', () => {
  const ids = fc.array(fc.oneof(fc.nat(), fc.nat(9), fc.double(), fc.constant(-1)), { maxLength: 8 });
  const key = fc.oneof(fc.constantFrom('token_ids', 'prompt', '__proto__', 'a"\\b', 'ä'), fc.string());
  const body = fc.dictionary(key, fc.oneof(fc.jsonValue(), fc.array(fc.nat()), ids));
  const indent = fc.constantFrom(undefined, 1, '\t');

  it('is the same JSON for any body', async () => {
    await fc.assert(
      fc.asyncProperty(body, indent, async (object, space) => {
        const text = JSON.stringify(object, undefined, space);
        const written = Buffer.concat(jsonChunks(await parsed(text))).toString('utf8');
        expect(parseJson(written)).toEqual(parseJson(text));
      }),
    );
  });

  it('takes and refuses what is taken and refused of the whole text, however a text is damaged', async () => {
    const piece = fc.constantFrom(...'{}[],:"\\01e.- ', '"token_ids":', '[1,2,3]', 'null', '"prompt":[');
    await fc.assert(
      fc.asyncProperty(body, fc.nat(), fc.nat(4), piece, async (object, where, cut, inserted) => {
        const text = JSON.stringify({ ...object, token_ids: [1, 20, 300] });
        const at = where % (text.length + 1);
        await expectAsParsedWhole(text.slice(0, at) + inserted + text.slice(at + cut));
      }),
      { numRuns: 1_000 },
    );
  });
});
