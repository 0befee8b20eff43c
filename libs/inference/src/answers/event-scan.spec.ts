import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EventScan } from './event-scan.js';

const scan = new EventScan(['finish_reason', 'error', 'usage'], ['[DONE]']);
const finds = (text: string): boolean => scan.finds(Buffer.from(text));

describe('EventScan', () => {
  it.each([
    ['{"finish_reason":"stop"}', true],
    ['{"finish_reason" : \t"stop"}', true],
    ['{"finish_reason":null}', false],
    ['{"finish_reason" :\r\n null,"usage":null}', false],
    ['{"finish_reason":null,"usage":{}}', true],
    ['{"usage":null,"x":1,"usage":{}}', true],
    ['{"error":null}', false],
    ['{"error":{}}', true],
    ['{"object":"error","message":"x"}', true],
    ['data: {"finish_reason"\ndata: :"stop"}', true],
    ['data: [DONE]', true],
    ['[DONE]', true],
    ['"error"', true],
    ['"error', false],
    ['"error\\"', false],
    ['', false],
    ['{"text":"an \\"error\\": \\"finish_reason\\":1"}', false],
    ['{"errors":1,"my_error":2,"finish_reasons":3,"usage_":4}', false],
    ['{"text":"[DON\\u0045]"}', false],
  ])('in %s finds something: %s', (text, is) => {
    expect(finds(text)).toBe(is);
  });

  it('finds what a search for each finds, wherever it is', () => {
    const word = fc.constantFrom(
      '"error"',
      '"usage"',
      '"finish_reason"',
      '[DONE]',
      '"',
      'e',
      '[D',
      ':',
      ' ',
      'null',
      ':1',
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        const text = words.join('');
        expect(finds(text)).toBe(/\[DONE\]|"(?:error|usage|finish_reason)"(?!\s*:\s*n)/.test(text));
      }),
      { numRuns: 2000 },
    );
  });
});
