import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { answerTo } from '../../engine/answer-tokens.js';
import { EOS, tokenize } from '../../engine/vocabulary.js';
import { at, eventually, Simulated } from '../../testing/simulated.js';
import { isObject, type JsonObject } from '../../json.js';

const GENERATE = '/inference/v1/generate';
const token_ids = tokenize('abc');
const right = answerTo(token_ids, { maxTokens: 4 });

describe('vLLM: the token endpoint', () => {
  let server: Simulated;
  beforeAll(async () => (server = await Simulated.start('--api-key', 'secret')));
  afterAll(() => server.close());
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    server.post(path, body, { authorization: 'Bearer secret', ...headers });

  it('takes ids and gives ids', async () => {
    const body = { request_id: 'b', token_ids, sampling_params: { max_tokens: 4, logprobs: 1, prompt_logprobs: 0 } };
    const { json } = await post(GENERATE, body, { 'x-request-id': 'h' });
    expect(json).toMatchObject({
      request_id: 'generate-tokens-h',
      choices: [{ token_ids: right.ids, finish_reason: 'length', logprobs: { content: { length: 4 } } }],
      usage: { prompt_tokens: 3, completion_tokens: 4 },
      prompt_logprobs: { length: 3 },
      kv_transfer_params: null,
      output_mode: 'tokens',
    });
    expect(at(json, 'choices.0.logprobs.content.0.token_id')).toBe(right.ids[0]);
    expect((await post(GENERATE, body)).json['request_id']).toBe('generate-tokens-b');
  });

  it('streams one choice in each event', async () => {
    const body = {
      token_ids,
      sampling_params: { max_tokens: 4, n: 2 },
      stream: true,
      stream_options: { include_usage: true },
      return_token_ids: true,
    };
    const { chunks, events } = await post(GENERATE, body);
    const first = chunks.filter((chunk) => at(chunk, 'choices.0.index') === 0);
    expect(first.flatMap((chunk) => at(chunk, 'choices.0.token_ids'))).toEqual(right.ids);
    expect(chunks[0]).toMatchObject({ prompt_token_ids: token_ids });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 8 } });
    expect(events.at(-1)).toBe('[DONE]');
  });

  it('speaks text when asked, and counts the end token', async () => {
    const { json } = await post(GENERATE, { token_ids, sampling_params: { max_tokens: 4 }, output_mode: 'text' });
    expect(at(json, 'choices.0.text')).toBe(right.text);
    const ended = await post(GENERATE, { token_ids: tokenize('<eos:1>'), sampling_params: {} });
    expect(ended.json).toMatchObject({
      choices: [{ finish_reason: 'stop', token_ids: [expect.any(Number), EOS] }],
      usage: { completion_tokens: 2 },
    });
  });

  it.each([
    [{ token_ids: [], sampling_params: {} }],
    [{ token_ids: [-1], sampling_params: {} }],
    [{ token_ids: [99_999], sampling_params: {} }],
    [{ token_ids }],
    [{ token_ids, sampling_params: {}, output_mode: 'other' }],
    [{ token_ids, sampling_params: { n: 1_000 } }],
  ])('refuses %j', async (body) => expect((await post(GENERATE, body)).status).toBe(400));

  it('wants the key and the type', async () => {
    expect((await server.post(GENERATE, { token_ids, sampling_params: {} })).status).toBe(401);
    expect((await server.get('/health')).status).toBe(200);
    expect((await post(GENERATE, '{}', { 'content-type': 'text/plain' })).status).toBe(400);
  });

  it('ends a stream that an abort call names', async () => {
    await server.faults({ kind: 'hang', at: 'token', afterTokens: 2 });
    const answer = post(GENERATE, { request_id: 'x', token_ids, sampling_params: { max_tokens: 9 }, stream: true });
    await eventually(
      () => server.simulator.engine.counts.generationTokens > 0 && server.simulator.engine.runs.size === 1,
    );
    while ((await server.lastRequest())['tokens'] !== 2);
    expect(await post('/inference/v1/abort_requests', { request_ids: ['generate-tokens-x', 'unknown'] })).toMatchObject(
      { status: 200, text: '' },
    );
    const { chunks, events } = await answer;
    expect(chunks.map((chunk) => at(chunk, 'choices.0.finish_reason'))).toEqual([null, null, 'abort']);
    expect([events.at(-1), server.held]).toEqual(['[DONE]', []]);
    expect(await server.lastRequest()).toMatchObject({ outcome: 'stopped' });
    await server.faults();
    expect((await post('/inference/v1/abort_requests', {})).status).toBe(400);
    expect((await post('/abort_requests', { request_ids: [] })).status).toBe(404);
  });

  it('renders and derenders: the way around is the OpenAI answer', async () => {
    const messages = [{ role: 'user', content: 'hi é' }];
    const chat = { messages, max_tokens: 4, logprobs: true, top_logprobs: 1 };
    const rendered = (await post('/v1/chat/completions/render', { ...chat, request_id: 'q' })).json;
    expect(rendered).toMatchObject({
      token_ids: expect.any(Array),
      sampling_params: { max_tokens: 4, n: 1, logprobs: 1 },
    });
    const generate_response = (await post(GENERATE, rendered)).json;
    const derendered = (await post('/v1/chat/completions/derender', { generate_response })).json;
    const direct = (await post('/v1/chat/completions', chat)).json;
    for (const path of ['choices.0.message.content', 'choices.0.finish_reason', 'choices.0.logprobs', 'usage'])
      expect(at(derendered, path)).toEqual(at(direct, path));

    const completion = { prompt: ['one', 'two'], max_tokens: 3, logprobs: 1 };
    const list: unknown = JSON.parse((await post('/v1/completions/render', completion)).text);
    const generate_responses: JsonObject[] = [];
    for (const item of Array.isArray(list) ? list : []) generate_responses.push((await post(GENERATE, item)).json);
    const whole = (await post('/v1/completions/derender', { generate_responses })).json;
    const straight = (await post('/v1/completions', completion)).json;
    for (const path of ['choices.0.text', 'choices.1.text', 'choices.1.logprobs', 'usage.total_tokens'])
      expect(at(whole, path)).toEqual(at(straight, path));
  });

  it('derenders a stream chunk by chunk', async () => {
    const { chunks } = await post(GENERATE, { token_ids, sampling_params: { max_tokens: 3 }, stream: true });
    let stream_state: unknown = null;
    const shown: unknown[] = [];
    for (const generate_chunk of chunks) {
      const { json } = await post('/v1/chat/completions/derender', { stream: true, generate_chunk, stream_state });
      ({ stream_state } = json);
      if (isObject(json['chunk'])) shown.push(at(json['chunk'], 'choices.0.delta'));
    }
    expect(shown[0]).toMatchObject({ role: 'assistant' });
    expect(shown.map((delta) => at(delta, 'content')).join('')).toBe(right.text.slice(0, 18));
    expect(
      (await post('/v1/chat/completions/derender', { generate_response: { choices: [], output_mode: 'text' } })).status,
    ).toBe(400);
  });

  it('has the tools of a server', async () => {
    expect((await server.post('/tokenize', { prompt: 'hé' })).json).toMatchObject({
      count: 3,
      tokens: [104, 195, 169],
    });
    expect(
      (await server.post('/tokenize', { messages: [{ role: 'user', content: 'x' }] })).json['count'],
    ).toBeGreaterThan(5);
    expect((await server.post('/detokenize', { tokens: [104, 195, 169] })).json).toEqual({ prompt: 'hé' });
    expect((await server.get('/metrics')).text).toContain('vllm:num_requests_running{engine="0",model_name="sim"} 0');
    expect((await server.get('/version')).json).toMatchObject({ version: expect.any(String) });
    expect((await server.get('/load')).json).toEqual({ server_load: 0 });
    expect((await server.get('/nowhere')).status).toBe(404);
    await server.faults({ kind: 'health_503' });
    expect((await server.get('/health')).status).toBe(503);
    await server.faults();
  });
});

describe('vLLM: a token server', () => {
  it('has no texts, and the older abort call without a key', async () => {
    const server = await Simulated.start('--tokens-only', '--api-key', 'secret');
    const headers = { authorization: 'Bearer secret' };
    expect((await server.post('/v1/completions', { prompt: 'a' }, headers)).status).toBe(404);
    expect((await server.post(GENERATE, { token_ids, sampling_params: { stop: ['x'] } }, headers)).status).toBe(400);
    expect((await server.post('/abort_requests', { request_ids: [] })).status).toBe(200);
    await server.close();
  });
});

describe('vLLM: admission', () => {
  it('runs as many as it has places for, queues as many as it may, and refuses the rest', async () => {
    const server = await Simulated.start('--max-running', '1', '--max-queued', '1');
    await server.faults({ kind: 'hang', at: 'prefill' });
    const ask = () => server.post('/v1/completions', { prompt: 'abc', max_tokens: 2 });
    const [first, second] = [ask(), ask()];
    await eventually(
      () => server.simulator.engine.scheduler.running === 1 && server.simulator.engine.scheduler.waiting === 1,
    );
    expect((await server.get('/metrics')).text).toContain('vllm:num_requests_waiting{engine="0",model_name="sim"} 1');
    expect((await ask()).json).toMatchObject({ error: { code: 503, type: 'Service Unavailable' } });
    await server.faults();
    expect([(await first).status, (await second).status, server.held]).toEqual([200, 200, []]);
    await server.close();
  });

  it('lets who waits for blocks have those that are freed', async () => {
    const server = await Simulated.start('--kv', 'nixl', '--kv-blocks', '2', '--kv-lease-ms', '50');
    const leg = { prompt: 'x'.repeat(30), max_tokens: 1, kv_transfer_params: { do_remote_decode: true } };
    await server.post('/v1/completions', leg);
    expect((await server.post('/v1/completions', { prompt: 'y'.repeat(30), max_tokens: 1 })).status).toBe(200);
    expect(server.freedBy('lease_expired')).toBe(1);
    await server.close();
  });
});
