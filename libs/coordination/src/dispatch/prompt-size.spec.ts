import { inferenceRequest, RawJson, type InferenceApi } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { PromptSize } from './prompt-size.js';

const sizeOf = (api: InferenceApi, body: Record<string, unknown>): PromptSize =>
  new PromptSize(inferenceRequest(api, body));
/** As a body's large array is kept: see `parseBody`. Its bytes are not looked at. */
const asBytes = (length: number): RawJson => new RawJson(Buffer.from('[]'), length);

describe('PromptSize', () => {
  it.each<[string, InferenceApi, Record<string, unknown>, number]>([
    ['token ids', 'completions', { prompt: [1, 2, 3] }, 3],
    ['several lists of token ids', 'completions', { prompt: [[1, 2, 3], [4], []] }, 4],
    ['no token ids', 'completions', { prompt: [] }, 0],
    ['token ids kept as bytes', 'completions', { prompt: asBytes(9_000_000) }, 9_000_000],
    ['lists kept as bytes', 'completions', { prompt: [asBytes(70), [1]] }, 71],
    ['token_ids', 'generate', { token_ids: [1, 2, 3, 4, 5], prompt: 'not of this api' }, 5],
    ['token_ids kept as bytes', 'generate', { token_ids: asBytes(100_000) }, 100_000],
  ])('counts %s exactly, at four bytes each', (_what, api, body, tokens) => {
    expect(sizeOf(api, body).tokens).toBe(tokens);
    expect(sizeOf(api, body).bytes).toBe(4 * tokens);
  });

  it.each<[string, InferenceApi, Record<string, unknown>, number, number]>([
    ['text', 'completions', { prompt: 'twelve bytes' }, 12, 3],
    ['text in UTF-8, tokens rounded up', 'completions', { prompt: 'äöü–' }, 9, 3],
    ['several texts', 'completions', { prompt: ['four', 'more'] }, 8, 2],
    ['messages', 'chat', { messages: [{ role: 'system', content: 'four' }, { content: 'more' }] }, 8, 2],
    [
      'the text parts of messages',
      'chat',
      {
        messages: [
          {
            content: [
              { type: 'text', text: 'four' },
              { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
            ],
          },
          { role: 'assistant', content: null },
        ],
        tools: [{ type: 'function' }],
      },
      4,
      1,
    ],
  ])('measures %s, at a token every four bytes', (_what, api, body, bytes, tokens) => {
    expect(sizeOf(api, body).bytes).toBe(bytes);
    expect(sizeOf(api, body).tokens).toBe(tokens);
  });

  it('is nothing for what is no prompt, also when it looks like one', () => {
    for (const prompt of [undefined, null, 7, { length: 1_000 }, { bytes: 'x', length: 9 }, [null, {}]]) {
      expect(sizeOf('completions', { prompt }).bytes).toBe(0);
    }
    for (const messages of [undefined, 'x', [null, 'x', { content: 5 }, { content: ['x', { text: 5 }] }]]) {
      expect(sizeOf('chat', { messages }).bytes).toBe(0);
    }
  });

  it('looks at the prompt once', () => {
    let looks = 0;
    const request = {
      ...inferenceRequest('completions', {}),
      body: {
        get prompt(): string {
          looks++;
          return 'x';
        },
      },
    };
    const size = new PromptSize(request);
    expect(looks).toBe(0);
    expect([size.tokens, size.bytes, size.tokens]).toEqual([1, 1, 1]);
    expect(looks).toBe(1);
  });
});
