import { ANONYMOUS, inferenceRequest, RawJson, type InferenceApi, type JsonObject } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { optionsOf } from './picks.spec-support.js';
import { promptPrefix } from './prompt-prefix.js';
import { sessionKey } from './session-key.js';

const prefixOf = (api: InferenceApi, body: JsonObject, bytes = 256): string | undefined =>
  promptPrefix(inferenceRequest(api, body), bytes)?.toString();

const raw = (ids: readonly number[], space = ''): RawJson =>
  new RawJson(Buffer.from(`[${ids.join(`,${space}`)}]`), ids.length);

describe('promptPrefix', () => {
  it('is the beginning of the text, in bytes', () => {
    expect(prefixOf('completions', { prompt: 'a fox' })).toBe('a fox');
    expect(prefixOf('completions', { prompt: 'a fox' }, 3)).toBe('a f');
    expect(promptPrefix(inferenceRequest('completions', { prompt: 'äöü' }), 3)).toHaveLength(3);
    expect(prefixOf('completions', { prompt: ['one', 'two'] })).toBe('one');
  });

  it('is the roles and texts of a chat', () => {
    const messages = [
      { role: 'system', content: 'Be short.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Hi' },
          { type: 'image_url', image_url: {} },
        ],
      },
    ];
    expect(prefixOf('chat', { messages })).toBe('\0system\0Be short.\0user\0Hi');
    expect(prefixOf('chat', { messages }, 12)).toBe('\0system\0Be s');
  });

  it('is the first token ids, whether they were parsed or not', () => {
    const ids = Array.from({ length: 500 }, (_, index) => index * 7);
    const first = ids.slice(0, 4).join(',');
    for (const prompt of [ids, raw(ids), raw(ids, ' \n')]) {
      expect(prefixOf('completions', { prompt }, 16)).toBe(first);
      expect(prefixOf('generate', { token_ids: prompt }, 15)).toBe(first);
      expect(prefixOf('generate', { token_ids: prompt }, 100_000)).toBe(ids.join(','));
    }
    expect(prefixOf('completions', { prompt: [ids, [1]] }, 16)).toBe(first);
  });

  it.each<[InferenceApi, JsonObject]>([
    ['chat', {}],
    ['chat', { messages: [] }],
    ['chat', { messages: 'no list' }],
    ['chat', { messages: [null, 7] }],
    ['completions', {}],
    ['completions', { prompt: '' }],
    ['completions', { prompt: [] }],
    ['completions', { prompt: { text: 'a' } }],
    ['generate', {}],
    ['generate', { token_ids: raw([]) }],
  ])('is nothing for a %s request of %j', (api, body) => {
    expect(prefixOf(api, body)).toBeUndefined();
  });
});

describe('sessionKey', () => {
  const of = (clientHeaders: Record<string, string | string[]>, prompt?: string, label = '') => {
    const caller = { ...ANONYMOUS, label };
    return sessionKey(inferenceRequest('completions', { prompt }, { clientHeaders, caller }), optionsOf());
  };

  it('is of the header, whatever the prompt is', () => {
    expect(of({ 'x-session-id': 's' }, 'one')).toEqual(of({ 'x-session-id': 's' }, 'two'));
    expect(of({ 'x-session-id': 's' })).not.toEqual(of({ 'x-session-id': 't' }));
    expect(of({ 'x-session-id': ['s', 't'] })).toEqual(of({ 'x-session-id': 's,t' }));
  });

  it('keeps the sessions of two callers apart, but not prompts that they share', () => {
    expect(of({ 'x-session-id': '1' }, 'one', 'a')).not.toEqual(of({ 'x-session-id': '1' }, 'one', 'b'));
    expect(of({}, 'one', 'a')).toEqual(of({}, 'one', 'b'));
  });

  it('is of the prompt and its model when there is no header, or an empty one', () => {
    expect(of({}, 'one')).toEqual(of({ 'x-session-id': '' }, 'one'));
    expect(of({}, 'one')).not.toEqual(of({}, 'two'));
    // A session that is called like a prompt is another one.
    expect(of({}, 's')).not.toEqual(of({ 'x-session-id': 's' }));
    const ofModel = (model: string) =>
      sessionKey(inferenceRequest('completions', { model, prompt: 'one' }), optionsOf());
    expect(ofModel('a')).not.toEqual(ofModel('b'));
  });

  it('is nothing when there is neither, or the prompt does not count', () => {
    expect(of({})).toBeUndefined();
    const request = inferenceRequest('completions', { prompt: 'one' });
    expect(sessionKey(request, optionsOf({ prefixBytes: 0 }))).toBeUndefined();
  });
});
