import { InferenceError, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { LimitsConfig } from '../config/limits-config.js';
import { checkLimits, checkTemplate } from './check-limits.js';
import { textSize } from './text-size.js';

const limits = new LimitsConfig();

function paramOf(body: JsonObject, own = limits): string | null | undefined {
  try {
    checkLimits(body, own);
    return undefined;
  } catch (error) {
    if (!(error instanceof InferenceError) || error.status !== 400) throw error;
    return error.param;
  }
}

const biases = (count: number): JsonObject => Object.fromEntries(Array.from({ length: count }, (_, id) => [id, 1]));
const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `s${index}`);

/** What is just allowed, and what is one too much. */
const EDGES: readonly (readonly [field: string, allowed: unknown, refused: unknown])[] = [
  ['n', 128, 129],
  ['best_of', 128, 129],
  ['max_tokens', 1_048_576, 1_048_577],
  ['max_completion_tokens', 1_048_576, 2 ** 53],
  ['min_tokens', 1_048_576, 12345678901234567890n],
  ['logprobs', 20, 21],
  ['logprobs', 0, -1],
  ['top_logprobs', 20, 21],
  ['prompt_logprobs', 20, 21],
  ['prompt_logprobs', 0, -1],
  ['stop', many(16), many(17)],
  ['stop_token_ids', new Array<number>(1_024).fill(1), new Array<number>(1_025).fill(1)],
  ['bad_words', many(1_024), many(1_025)],
  ['logit_bias', biases(1_024), biases(1_025)],
  ['guided_regex', 'a'.repeat(65_536), 'a'.repeat(65_537)],
  ['guided_grammar', 'a'.repeat(65_536), 'a'.repeat(65_537)],
  ['structured_outputs', { regex: 'a'.repeat(65_000) }, { regex: 'a'.repeat(65_536) }],
  ['response_format', { type: 'json_schema', json_schema: {} }, { json_schema: { schema: biases(65_536) } }],
];

describe('checkLimits', () => {
  it.each(EDGES)('bounds %s', (field, allowed, refused) => {
    expect(paramOf({ [field]: allowed })).toBeUndefined();
    expect(paramOf({ [field]: refused })).toBe(field);
    expect(paramOf({ sampling_params: { [field]: allowed } })).toBeUndefined();
    expect(paramOf({ sampling_params: { [field]: refused } })).toBe(`sampling_params.${field}`);
  });

  it('bounds the answers of all prompts together', () => {
    expect(paramOf({ prompt: many(8), n: 128 })).toBeUndefined();
    expect(paramOf({ prompt: many(9), n: 128 })).toBe('prompt');
    expect(paramOf({ prompt: [[1], [2]], best_of: 128 })).toBeUndefined();
    expect(paramOf({ prompt: new Array<number>(100_000).fill(1), n: 2 })).toBeUndefined();
  });

  it('leaves alone what says nothing, or is of another type', () => {
    expect(paramOf({ n: null, stop: 'x', logprobs: true, logit_bias: null, guided_json: null })).toBeUndefined();
  });

  it('can be set', () => {
    const own = Object.assign(new LimitsConfig(), { n: 2, logprobs: -1, stopStrings: 1 });
    expect(paramOf({ n: 3 }, own)).toBe('n');
    expect(paramOf({ logprobs: -1, prompt_logprobs: 100_000 }, own)).toBeUndefined();
    expect(paramOf({ stop: ['a', 'b'] }, own)).toBe('stop');
  });
});

describe('checkTemplate', () => {
  const refusal = (body: JsonObject) => () => checkTemplate(body);
  it('bounds a template and its arguments, and refuses arguments that are none', () => {
    expect(
      refusal({ chat_template: 'a'.repeat(65_536), chat_template_kwargs: { enable_thinking: true } }),
    ).not.toThrow();
    expect(refusal({ chat_template: 'a'.repeat(65_537) })).toThrow(/chat_template must/);
    expect(refusal({ chat_template_kwargs: { a: 'a'.repeat(65_537) } })).toThrow(/chat_template_kwargs must/);
    expect(refusal({ chat_template_kwargs: { tokenize: true } })).toThrow(/chat_template_kwargs.tokenize/);
    expect(refusal({ chat_template_kwargs: { chat_template: 'x' } })).toThrow(/chat_template_kwargs.chat_template/);
  });
});

describe('textSize', () => {
  it('counts strings, keys and values, and stops beyond what is enough', () => {
    expect(textSize({ ab: ['c', 1, null] }, 100)).toBe(1 + 2 + 1 + 2 + 1 + 1);
    expect(textSize(many(100_000), 10)).toBeLessThan(20);
  });
});
