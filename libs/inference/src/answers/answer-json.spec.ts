import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { stringifyJson } from '../json.js';
import { answerJson, readUpstream } from './answer-json.js';
import { upstreamError } from './answer-truth.js';

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

describe('answerJson', () => {
  it('reads what is written, from text and from bytes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('__proto__') && !/\d{16}/.test(text));
        expect(answerJson(text)).toEqual(JSON.parse(text));
        expect(answerJson(Buffer.from(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    nested(129),
    nested(200_000),
    `{"choices":[{"a":${'{"a":'.repeat(200_000)}1${'}'.repeat(200_001)}]}`,
    '{',
    '',
  ])('cannot use %.30s', (text) => {
    expect(answerJson(text)).toBeUndefined();
    expect(answerJson(Buffer.from(text))).toBeUndefined();
  });

  it('takes many brackets that are not open at once, or in a text', () => {
    for (const text of [nested(128), `[${'[],'.repeat(1_000)}[]]`, JSON.stringify({ text: '[['.repeat(1_000) })]) {
      expect(stringifyJson(answerJson(text))).toBe(text);
    }
  });

  it('drops keys that could reach a prototype', () => {
    const answer = answerJson('{"__proto__":{"polluted":1},"a":{"\\u005f_proto__":{"polluted":1},"b":2}}');
    expect(stringifyJson(answer)).toBe('{"a":{"b":2}}');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('readUpstream', () => {
  it('makes a 502 of whatever goes wrong, and keeps errors that were meant for the client', () => {
    const told = upstreamError('upstream_aborted', 'It ended.');
    const failing = (error: Error) => () =>
      readUpstream(() => {
        throw error;
      });
    expect(failing(told)).toThrow(told);
    expect(failing(new TypeError('x of undefined'))).toThrow(
      expect.objectContaining({ status: 502, code: 'bad_upstream_answer' }),
    );
    expect(readUpstream(() => 7)).toBe(7);
  });
});
