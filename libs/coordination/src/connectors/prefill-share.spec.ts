import { inferenceRequest, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { firstTokenLead, sharedAnswer } from './prefill-share.js';

const usage = { prompt_tokens: 3, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 2 } };
const promptLogprobs = [null, { 5: { logprob: -1 } }];

describe('sharedAnswer', () => {
  it('is the usage of P and nothing else of an ordinary answer', () => {
    const answer = { usage, choices: [{ text: 'a', prompt_logprobs: null, logprobs: null }], prompt_logprobs: null };
    expect(sharedAnswer(inferenceRequest('completions', { prompt: 'x' }), answer)).toEqual({ usage });
    expect(sharedAnswer(inferenceRequest('chat', { messages: [] }), answer)).toEqual({ usage });
    expect(sharedAnswer(inferenceRequest('generate', { token_ids: [1] }), answer)).toEqual({ usage });
  });

  it('is nothing of an answer that says nothing', () => {
    for (const answer of [{}, { choices: [] }, { choices: [null], usage: null }]) {
      expect(sharedAnswer(inferenceRequest('completions', { prompt: [1], echo: true }), answer)).toEqual({});
    }
  });

  it('takes prompt_logprobs where each api has them', () => {
    const completions = inferenceRequest('completions', { prompt: 'x', prompt_logprobs: 1 });
    expect(sharedAnswer(completions, { choices: [{ prompt_logprobs: promptLogprobs }] })).toEqual({ promptLogprobs });
    for (const api of ['chat', 'generate'] as const) {
      const request = inferenceRequest(api, { prompt_logprobs: 1 });
      expect(sharedAnswer(request, { choices: [{}], prompt_logprobs: promptLogprobs })).toEqual({ promptLogprobs });
    }
  });
});

describe('the echo of completions', () => {
  const logprobs = {
    tokens: ['\u{1f642}', ' ab', 'c'],
    token_logprobs: [null, -1, -2],
    top_logprobs: null,
    text_offset: [0, 1, 4],
  };
  const answer = (text: string, made = 1): JsonObject => ({
    usage: { ...usage, completion_tokens: made },
    choices: [{ text, logprobs, prompt_logprobs: promptLogprobs }],
  });
  const lead = (body: JsonObject, from: JsonObject): unknown =>
    sharedAnswer(inferenceRequest('completions', { ...body, echo: true }), from).lead;

  it('is the prompt itself when that is text', () => {
    expect(lead({ prompt: 'x' }, { choices: [{ text: 'x and more', logprobs: null }] })).toEqual({
      text: 'x',
      completionTokens: 0,
    });
  });

  it('ends where the first token of P begins, counted in characters as P counts them', () => {
    expect(lead({ prompt: [1, 2] }, answer('\u{1f642} abc'))).toEqual({ text: '\u{1f642} ab', completionTokens: 0 });
    expect(lead({ prompt: [1] }, answer('\u{1f642} abc', 2))).toEqual({ text: '\u{1f642}', completionTokens: 0 });
    expect(lead({ prompt: ['abcde'] }, answer('abcdefg'))).toEqual({ text: 'abcd', completionTokens: 0 });
  });

  it('has its log probabilities when the client asked for them', () => {
    expect(lead({ prompt: [1, 2], logprobs: 0 }, answer('\u{1f642} abc'))).toEqual({
      text: '\u{1f642} ab',
      completionTokens: 0,
      logprobs: { tokens: ['\u{1f642}', ' ab'], token_logprobs: [null, -1], top_logprobs: null, text_offset: [0, 1] },
    });
  });

  it('is left out when nobody can tell where it ends', () => {
    expect(lead({ prompt: [1] }, { choices: [{ text: 'abc', logprobs: null }] })).toBeUndefined();
  });

  it('brings the prompt_logprobs of the client, not those of our own asking', () => {
    const share = (body: JsonObject): unknown =>
      sharedAnswer(inferenceRequest('completions', { prompt: [1], echo: true, ...body }), answer('abcd'))
        .promptLogprobs;
    expect(share({})).toBeUndefined();
    expect(share({ logprobs: 1 })).toBe(promptLogprobs);
    expect(share({ prompt_logprobs: 1 })).toBe(promptLogprobs);
  });
});

describe('the echo of chat', () => {
  const body = { messages: [{ role: 'assistant', content: 'So far' }], echo: true, add_generation_prompt: false };

  it('is the last message when P has put it first', () => {
    const answer = { choices: [{ message: { content: 'So far so' } }] };
    expect(sharedAnswer(inferenceRequest('chat', body), answer).lead).toEqual({ text: 'So far', completionTokens: 0 });
    expect(sharedAnswer(inferenceRequest('chat', { ...body, echo: false }), answer).lead).toBeUndefined();
  });

  it('is none when P has not', () => {
    const answer = { choices: [{ message: { content: ' so' } }] };
    expect(sharedAnswer(inferenceRequest('chat', body), answer).lead).toBeUndefined();
    expect(sharedAnswer(inferenceRequest('chat', { messages: [], echo: true }), answer).lead).toBeUndefined();
  });
});

describe('firstTokenLead', () => {
  it('is the token in the form of the api, with its log probabilities', () => {
    const completions = { choices: [{ text: ' a', logprobs: { tokens: [' a'] } }] };
    const chat = {
      choices: [{ message: { role: 'assistant', content: 'a' }, logprobs: { content: [{ token: 'a' }] } }],
    };
    const generate = { choices: [{ token_ids: [7], logprobs: { content: [{ token_id: 7 }] } }] };
    expect(firstTokenLead(inferenceRequest('completions', { logprobs: 0 }), completions)).toEqual({
      text: ' a',
      logprobs: { tokens: [' a'] },
      completionTokens: 1,
    });
    expect(firstTokenLead(inferenceRequest('chat', { logprobs: true }), chat)).toEqual({
      text: 'a',
      logprobs: { content: [{ token: 'a' }] },
      completionTokens: 1,
    });
    expect(firstTokenLead(inferenceRequest('generate', {}), generate)).toEqual({
      tokenIds: [7],
      logprobs: { content: [{ token_id: 7 }] },
      completionTokens: 1,
    });
  });

  it('has no log probabilities that the client did not ask for', () => {
    const answer = { choices: [{ text: 'xa', logprobs: { tokens: ['x', 'a'] } }] };
    expect(firstTokenLead(inferenceRequest('completions', { prompt: [1], echo: true }), answer)).toEqual({
      text: 'xa',
      completionTokens: 1,
    });
  });
});
