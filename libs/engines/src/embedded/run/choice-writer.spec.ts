import { describe, expect, it } from '@jest/globals';
import { ChoiceWriter, type ChoiceDelta } from './choice-writer.js';
import type { RequestPlan } from '../request/request-plan.js';
import type { Vocabulary } from '../llama/vocabulary.js';

const END = 0;
/** Tokens are characters; 0 ends a generation and has no text. */
const spell = (tokens: readonly number[]): string => String.fromCharCode(...tokens.filter((token) => token !== END));
const vocabulary: Vocabulary = {
  size: 256,
  begin: undefined,
  beginText: '',
  endText: '',
  endIds: [END],
  longestTokenBytes: 1,
  isEnd: (token) => token === END,
  tokenizeText: (text) => [...Buffer.from(text)],
  tokenizeMarkup: (text) => [...Buffer.from(text)],
  detokenize: spell,
  tokenBytes: (token) => Buffer.from([token]),
  tokenText: (token) => spell([token]),
};

function plan(
  edit: Partial<RequestPlan> & { stops?: string[]; stopIds?: number[]; ignoreEnd?: boolean } = {},
): RequestPlan {
  const { stops = [], stopIds = [], ignoreEnd = false, ...rest } = edit;
  return {
    leg: { kind: 'whole' },
    prompt: [65],
    choices: 1,
    sampling: {
      temperature: 0,
      topP: 1,
      topK: 0,
      minP: 0,
      seed: undefined,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: new Map(),
    },
    stop: { strings: stops, tokenIds: stopIds, ignoreEnd },
    maxTokens: 100,
    minTokens: 0,
    logprobs: undefined,
    echo: false,
    includeUsage: false,
    ...rest,
  };
}

function write(
  text: string,
  of: RequestPlan,
  hasText = true,
): { deltas: ChoiceDelta[]; text: string; end: ChoiceDelta | undefined } {
  const writer = new ChoiceWriter(of, vocabulary, hasText);
  const deltas: ChoiceDelta[] = [];
  for (const char of text) {
    if (writer.isFinished) break;
    const delta = writer.push({ token: char === '$' ? END : char.charCodeAt(0) });
    if (delta !== undefined) deltas.push(delta);
  }
  return { deltas, text: deltas.map((delta) => delta.text).join(''), end: deltas.at(-1) };
}

describe('ChoiceWriter', () => {
  it('gives each token at once', () => {
    expect(write('abc', plan()).deltas.map(({ text }) => text)).toEqual(['a', 'b', 'c']);
  });

  it('stops at the end token, which counts as a token but has no text', () => {
    const { text, end, deltas } = write('ab$cd', plan());
    expect(text).toBe('ab');
    expect(end).toMatchObject({ finishReason: 'stop', tokenIds: [END] });
    expect(deltas).toHaveLength(3);
  });

  it('ends at the token limit', () => {
    expect(write('abcdef', plan({ maxTokens: 3 }))).toMatchObject({ text: 'abc', end: { finishReason: 'length' } });
  });

  it('prefers stop to length when both come at once', () => {
    expect(write('ab$', plan({ maxTokens: 3 })).end?.finishReason).toBe('stop');
  });

  it('ends before a stop string, and tells the tokens that were held back', () => {
    const { text, end } = write('abENDc', plan({ stops: ['END'] }));
    expect(text).toBe('ab');
    expect(end).toMatchObject({ finishReason: 'stop', tokenIds: [...Buffer.from('END')] });
  });

  it('gives what it held back when the answer ends otherwise', () => {
    expect(write('abEN$', plan({ stops: ['END'] }))).toMatchObject({ text: 'abEN', end: { finishReason: 'stop' } });
    expect(write('abENxx', plan({ stops: ['END'], maxTokens: 4 }))).toMatchObject({
      text: 'abEN',
      end: { finishReason: 'length' },
    });
  });

  it('stops at a stop token', () => {
    expect(write('abc', plan({ stopIds: ['b'.charCodeAt(0)] }))).toMatchObject({
      text: 'a',
      end: { finishReason: 'stop' },
    });
  });

  it('stops for nothing before min_tokens', () => {
    expect(write('END$ENDx', plan({ stops: ['END'], minTokens: 5 })).text).toBe('END');
    expect(write('abENDx', plan({ stops: ['END'], minTokens: 6 })).text).toBe('abENDx');
  });

  it('goes on after the end token with ignore_eos', () => {
    expect(write('a$b', plan({ ignoreEnd: true, maxTokens: 3 }))).toMatchObject({
      text: 'ab',
      end: { finishReason: 'length' },
    });
  });

  it('gives tokens without text to the token endpoint', () => {
    expect(write('ab$', plan(), false).deltas).toMatchObject([
      { text: '', tokenIds: [97], finishReason: null },
      { text: '', tokenIds: [98], finishReason: null },
      { text: '', tokenIds: [END], finishReason: 'stop' },
    ]);
  });
});
