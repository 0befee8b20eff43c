import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPair, type Pair } from './support/pair.js';

interface Case {
  readonly what: string;
  readonly path?: string;
  readonly body: unknown;
  readonly status: number;
  readonly param?: string | null;
  readonly raw?: string;
}

const chat = (extra: object): object => ({ messages: [{ role: 'user', content: 'hello' }], ...extra });
const CHAT = '/v1/chat/completions';
const GENERATE = '/inference/v1/generate';
const nested = (levels: number): string => `{"prompt":"a","x":${'['.repeat(levels)}${']'.repeat(levels)}}`;

const CASES: readonly Case[] = [
  { what: 'malformed JSON', raw: '{"prompt": ', body: null, status: 400, param: null },
  { what: 'an array as body', body: [], status: 400, param: null },
  { what: 'an empty body', raw: '', body: null, status: 400, param: null },
  { what: 'no prompt', body: {}, status: 400, param: 'prompt' },
  { what: 'an empty prompt', body: { prompt: '' }, status: 400, param: 'prompt' },
  { what: 'a prompt of the wrong type', body: { prompt: { a: 1 } }, status: 400, param: 'prompt' },
  { what: 'no messages', path: CHAT, body: {}, status: 400, param: 'messages' },
  { what: 'empty messages', path: CHAT, body: { messages: [] }, status: 400, param: 'messages' },
  {
    what: 'an unknown role',
    path: CHAT,
    body: { messages: [{ role: 'wizard', content: 'a' }] },
    status: 400,
    param: 'messages[0].role',
  },
  { what: 'no token ids', path: GENERATE, body: { sampling_params: {} }, status: 400, param: 'token_ids' },
  {
    what: 'empty token ids',
    path: GENERATE,
    body: { token_ids: [], sampling_params: {} },
    status: 400,
    param: 'token_ids',
  },
  { what: 'no sampling_params', path: GENERATE, body: { token_ids: [1, 2] }, status: 400, param: 'sampling_params' },
  {
    what: 'a token id out of the vocabulary',
    path: GENERATE,
    body: { token_ids: [1, 99_999], sampling_params: {} },
    status: 400,
    param: 'token_ids[1]',
  },
  { what: 'a negative token id', path: GENERATE, body: { token_ids: [-1], sampling_params: {} }, status: 400 },
  { what: 'an unknown model', body: { prompt: 'a', model: 'gpt-17' }, status: 404, param: 'model' },
  { what: 'an unknown model (chat)', path: CHAT, body: chat({ model: 'gpt-17' }), status: 404, param: 'model' },
  { what: 'max_tokens 0', body: { prompt: 'a', max_tokens: 0 }, status: 400, param: 'max_tokens' },
  { what: 'max_tokens 1.5', body: { prompt: 'a', max_tokens: 1.5 }, status: 400, param: 'max_tokens' },
  { what: 'max_tokens as text', path: CHAT, body: chat({ max_tokens: '7' }), status: 400, param: 'max_tokens' },
  {
    what: 'max_tokens 0 (generate)',
    path: GENERATE,
    body: { token_ids: [1, 2], sampling_params: { max_tokens: 0 } },
    status: 400,
    param: 'sampling_params.max_tokens',
  },
  { what: 'temperature -1', body: { prompt: 'a', temperature: -1 }, status: 400, param: 'temperature' },
  { what: 'temperature 3', path: CHAT, body: chat({ temperature: 3 }), status: 400, param: 'temperature' },
  { what: 'top_p 0', body: { prompt: 'a', top_p: 0 }, status: 400, param: 'top_p' },
  { what: 'top_p 1.5', path: CHAT, body: chat({ top_p: 1.5 }), status: 400, param: 'top_p' },
  {
    what: 'a prompt and max_tokens over the context',
    body: { prompt: 'a', max_tokens: 100_000 },
    status: 400,
    param: 'max_tokens',
  },
  {
    what: 'a prompt over the context',
    body: { prompt: 'the sun was warm '.repeat(2_000), max_tokens: 1 },
    status: 400,
    param: 'prompt',
  },
  { what: 'JSON deeper than 64 levels', raw: nested(70), body: null, status: 400, param: null },
  { what: 'a body over the limit', body: { prompt: 'a'.repeat(2_100_000) }, status: 413, param: null },
  { what: 'stream as text', body: { prompt: 'a', stream: 'yes' }, status: 400, param: 'stream' },
  { what: 'n 0', body: { prompt: 'a', n: 0 }, status: 400, param: 'n' },
  { what: 'n 9', body: { prompt: 'a', n: 9 }, status: 400, param: 'n' },
  { what: '17 stop strings', body: { prompt: 'a', stop: Array(17).fill('x') }, status: 400, param: 'stop' },
  { what: 'logprobs 6', body: { prompt: 'a', logprobs: 6 }, status: 400, param: 'logprobs' },
  {
    what: 'top_logprobs 21',
    path: CHAT,
    body: chat({ logprobs: true, top_logprobs: 21 }),
    status: 400,
    param: 'top_logprobs',
  },
  { what: 'several prompts', body: { prompt: ['a', 'b'] }, status: 400, param: 'prompt' },
  {
    what: 'the role of a tool',
    path: CHAT,
    body: { messages: [{ role: 'tool', content: 'a' }] },
    status: 400,
    param: 'messages[0].role',
  },
  {
    what: 'an assistant that says nothing',
    path: CHAT,
    body: { messages: [{ role: 'assistant', content: null }] },
    status: 400,
    param: 'messages[0].content',
  },
  { what: 'an unknown route', path: '/v1/nothing', body: {}, status: 404, param: null },
];

describe('bad input is refused in the OpenAI error shape before any work', () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await startPair({ prefill: { BATON_SERVER_BODY_LIMIT_BYTES: '2000000' } });
  });
  afterAll(() => pair.stop());

  it.each(CASES)('$what: $status', async ({ path = '/v1/completions', body, raw, status, param }) => {
    const before = await pair.prefill.metrics();
    const response = await fetch(pair.prefill.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: raw ?? JSON.stringify(body),
    });
    const answer = (await response.json()) as { error: Record<string, unknown> };
    expect({ status: response.status, answer }).toMatchObject({ status });
    expect(Object.keys(answer.error).sort()).toEqual(['code', 'message', 'param', 'type']);
    expect(typeof answer.error['message']).toBe('string');
    if (param !== undefined) expect(answer.error).toMatchObject({ param });
    expect(response.headers.get('x-request-id')).toMatch(/^[\w-]+$/);
    expect(response.headers.get('x-baton-manager')).not.toBeNull();

    const after = await pair.prefill.metrics();
    expect(after('baton_engine_prompt_tokens_total')).toBe(before('baton_engine_prompt_tokens_total'));
    expect(after('baton_engine_handoffs_total')).toBe(before('baton_engine_handoffs_total'));
    expect(after('baton_inflight_requests')).toBe(0);
  });

  it('logs no prompt', () => {
    expect([...pair.prefill.output, ...pair.decode.output].join('')).not.toContain('the sun was warm');
  });
});
