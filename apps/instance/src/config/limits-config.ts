import { WholeNumber } from './setting.js';

const MOST = 2_147_483_647;

/**
 * What one request may ask for. Above them a request is refused with a 400 before any engine sees it; below them the engine
 * may still refuse what it cannot do.
 */
export class LimitsConfig {
  @WholeNumber('Most answers to one prompt: n and best_of', { min: 1, max: 128 })
  readonly n: number = 128;

  @WholeNumber('Most answers of one request, of all its prompts together', { min: 1, max: MOST })
  readonly sequences: number = 1_024;

  @WholeNumber('Longest answer that may be asked for, in tokens: max_tokens, max_completion_tokens, min_tokens', {
    min: 1,
    max: MOST,
  })
  readonly maxTokens: number = 1_048_576;

  @WholeNumber('Most log probabilities for one token: logprobs, top_logprobs, prompt_logprobs; -1 for any number', {
    min: -1,
    max: MOST,
  })
  readonly logprobs: number = 20;

  @WholeNumber('Most stop strings', { min: 0, max: 256 })
  readonly stopStrings: number = 16;

  @WholeNumber('Most tokens in logit_bias', { min: 0, max: 16_384 })
  readonly logitBias: number = 1_024;

  @WholeNumber('Longest grammar, regular expression or schema of an answer, in characters', { min: 0, max: MOST })
  readonly grammarLength: number = 65_536;

  @WholeNumber('Longest chat template, and longest arguments for one, of a client, in characters', {
    min: 0,
    max: MOST,
  })
  readonly templateLength: number = 65_536;
}
