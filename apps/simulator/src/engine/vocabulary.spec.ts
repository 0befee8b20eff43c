import { describe, expect, it } from '@jest/globals';
import { PrefixHash } from './prefix-hash.js';
import {
  detokenize,
  EOS,
  FIRST_WORD,
  MESSAGE_START,
  tokenize,
  tokenText,
  VOCABULARY_SIZE,
  WORDS,
} from './vocabulary.js';

describe('The vocabulary', () => {
  it.each([
    '',
    'hello',
    'héllo 🙂',
    ' babe',
    ' babel and  babe',
    '<|im_start|>user\nhi<|im_end|>',
    '< |',
    ' ba',
    'a\u0000b',
  ])('gives back the text %j', (text) => expect(detokenize(tokenize(text))).toBe(text));

  it('has a text of its own for every word', () => {
    const ids = Array.from({ length: WORDS }, (_, index) => FIRST_WORD + index);
    expect(ids.map((id) => tokenize(tokenText(id)))).toEqual(ids.map((id) => [id]));
    expect(new Set(ids.map(tokenText)).size).toBe(WORDS);
    expect(FIRST_WORD + WORDS).toBe(VOCABULARY_SIZE);
  });

  it.each(['', 'hi', 'hi ', 'hi ba', "hi ba'be", 'é', '<|im_start|>assistant\n'])(
    'makes the text %j followed by words the same ids, then the ids of the words',
    (text) => {
      const hash = new PrefixHash().pushAll(tokenize(text));
      for (let turn = 0; turn < 50; turn++) {
        const words = [hash.nextWord(), hash.push(turn).nextWord()];
        expect(tokenize(text + detokenize(words))).toEqual([...tokenize(text), ...words]);
      }
    },
  );

  it('hides special tokens from a reader who wants no such', () => {
    expect(tokenize('<|im_start|>')).toEqual([MESSAGE_START]);
    expect(detokenize([104, EOS, 105], { skipSpecial: true })).toBe('hi');
    expect(detokenize([104, EOS])).toBe('h<|eos|>');
  });
});
