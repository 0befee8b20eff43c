import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { IncrementalDecoder, type DecoderState } from './incremental-decoder.js';

/** A vocabulary of bytes, as models have it for characters that they do not know. */
const bytes = (tokens: readonly number[]): string => Buffer.from(tokens).toString('utf8');

describe('IncrementalDecoder', () => {
  it('holds back a character until its last byte has come', () => {
    const decoder = new IncrementalDecoder(bytes);
    const texts = [...Buffer.from('a😀b')].map((byte) => decoder.push(byte));
    expect(texts).toEqual(['a', '', '', '', '😀', 'b']);
  });

  it('spells a token by those before it', () => {
    const words = (tokens: readonly number[]): string =>
      tokens
        .map((token) => ` w${token}`)
        .join('')
        .trimStart();
    const decoder = new IncrementalDecoder(words, [1]);
    expect([decoder.push(2), decoder.push(3)]).toEqual([' w2', ' w3']);
  });

  it('gives up on bytes that are no character', () => {
    const decoder = new IncrementalDecoder(bytes);
    expect([0xff, 0xff, 0xff, 0xff].map((byte) => decoder.push(byte)).join('')).toBe('\uFFFD'.repeat(4));
  });

  it('gives an incomplete character at the end', () => {
    const decoder = new IncrementalDecoder(bytes);
    expect(decoder.push(0xf0)).toBe('');
    expect(decoder.flush()).toBe('\uFFFD');
    expect(decoder.flush()).toBe('');
  });

  it('is continued by another from its state, in the middle of a character', () => {
    const tokens = [...Buffer.from('ab😀c')];
    const texts: string[] = [];
    let state: DecoderState = { context: [], held: [] };
    for (const token of tokens) {
      const decoder = new IncrementalDecoder(bytes, state.context, state.held);
      texts.push(decoder.push(token));
      state = decoder.state;
    }
    expect(texts).toEqual(['a', 'b', '', '', '', '😀', 'c']);
    expect(state.held).toEqual([]);
  });

  it('adds up to the whole text, and never shows half a character', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\uFFFD')),
        (text) => {
          const decoder = new IncrementalDecoder(bytes);
          const pieces = [...Buffer.from(text)].map((byte) => decoder.push(byte));
          expect(pieces.join('') + decoder.flush()).toBe(Buffer.from(text).toString('utf8'));
          expect(pieces.join('')).not.toContain('\uFFFD');
        },
      ),
    );
  });
});
