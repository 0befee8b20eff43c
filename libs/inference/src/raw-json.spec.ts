import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { jsonChunks, RawJson } from './raw-json.js';

const raw = (text: string): RawJson => new RawJson(Buffer.from(text), (JSON.parse(text) as unknown[]).length);
const textOf = (chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString('utf8');

describe('RawJson', () => {
  it('is the array that it stands for', () => {
    const ids = raw('[ 1,\n20 ,300]');
    expect(ids).toHaveLength(3);
    expect(ids.toArray()).toEqual([1, 20, 300]);
    expect(JSON.stringify({ deep: [{ ids }] })).toBe('{"deep":[{"ids":[1,20,300]}]}');
  });

  it('shows no keys to what walks objects', () => {
    expect(Object.keys(raw('[1]'))).toEqual([]);
  });
});

describe('jsonChunks', () => {
  it('hands out the bytes of arrays as they are, not a copy', () => {
    const [a, b] = [raw('[1, 2]'), raw('[3]')];
    const chunks = jsonChunks({ token_ids: a, params: { prompt: b, x: 'ä' }, last: true });
    expect(chunks).toHaveLength(5);
    expect([chunks[1], chunks[3]]).toEqual([a.bytes, b.bytes]);
    expect(chunks[1]).toBe(a.bytes);
    expect(textOf(chunks)).toBe('{"token_ids":[1, 2],"params":{"prompt":[3],"x":"ä"},"last":true}');
  });

  it('leaves out what JSON.stringify leaves out', () => {
    const ids = raw('[1]');
    const body = { gone: undefined, ids, inner: { alsoGone: undefined, ids }, nothing: null };
    expect(textOf(jsonChunks(body))).toBe(JSON.stringify(body));
  });

  it('writes integers that no number holds', () => {
    const room = 9_007_199_254_740_993n;
    const body = { ids: raw('[1]'), room, params: { room, ids: raw('[2]'), deep: [{ room }] } };
    const digits = '9007199254740993';
    expect(textOf(jsonChunks(body))).toBe(
      `{"ids":[1],"room":${digits},"params":{"room":${digits},"ids":[2],"deep":[{"room":${digits}}]}}`,
    );
  });

  it('is JSON.stringify for any body', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constant(undefined),
      fc.array(fc.nat()).map((ids) => raw(JSON.stringify(ids))),
    );
    const body = fc.dictionary(fc.string(), fc.oneof(value, fc.dictionary(fc.string(), value)));
    fc.assert(fc.property(body, (object) => expect(textOf(jsonChunks(object))).toBe(JSON.stringify(object))));
  });
});
