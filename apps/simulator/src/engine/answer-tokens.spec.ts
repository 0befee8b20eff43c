import { describe, expect, it } from '@jest/globals';
import { answerTo, eosPosition } from './answer-tokens.js';
import { EOS, tokenize } from './vocabulary.js';

describe('The answer to a prompt', () => {
  const prompt = tokenize('Where is the blue door?');

  it('is a function of the prompt alone', () => {
    const answer = answerTo(prompt, { maxTokens: 64 });
    expect(answerTo([...prompt], { maxTokens: 64 })).toEqual(answer);
    expect(answer).toMatchObject({ finishReason: 'length' });
    expect(answerTo(prompt, { maxTokens: 8 }).ids).toEqual(answer.ids.slice(0, 8));
    expect(tokenize(answer.text)).toEqual(answer.ids);
    expect(new Set(answer.ids).size).toBeGreaterThan(50);
  });

  it('is another for any other prompt, and for any other choice', () => {
    const others = [prompt.slice(1), prompt.slice(0, -1), [...prompt].reverse(), [...prompt, 0]];
    const answers = [prompt, ...others].map((ids) => answerTo(ids, { maxTokens: 8 }).text);
    const choices = [1, 2, 3].map((choice) => answerTo(prompt, { maxTokens: 8, choice }).text);
    expect(new Set([...answers, ...choices]).size).toBe(8);
  });

  it('goes on where an answer in the prompt ends', () => {
    const { ids } = answerTo(prompt, { maxTokens: 12 });
    for (const given of [1, 2, 7])
      expect(answerTo([...prompt, ...ids.slice(0, given)], { maxTokens: 12 - given }).ids).toEqual(ids.slice(given));
  });

  it.each([
    ['<eos:0>', 0],
    ['a <eos:3> b', 3],
    ['<eos:1> then <eos:12>', 12],
    ['<eos:>', undefined],
    ['<eos:x>', undefined],
    ['<eos:4', undefined],
    ['', undefined],
  ])('ends where %j asks for it: %p', (text, expected) => {
    expect(eosPosition(tokenize(text))).toBe(expected);
  });

  it('ends at the same token whether its beginning is in the prompt or not', () => {
    const asking = tokenize('Say three. <eos:3>');
    const { ids, finishReason } = answerTo(asking, { maxTokens: 64 });
    expect([ids.length, ids.at(-1), finishReason]).toEqual([4, EOS, 'stop']);
    expect(answerTo([...asking, ...ids.slice(0, 1)], { maxTokens: 63 }).ids).toEqual(ids.slice(1));
    expect(answerTo(asking, { maxTokens: 6, ignoreEos: true }).ids).not.toContain(EOS);
    expect(answerTo(asking, { maxTokens: 64, minTokens: 9 }).ids).toHaveLength(10);
  });
});
