import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { answerTo } from '../../engine/answer-tokens.js';
import { detokenize, EOS, tokenize } from '../../engine/vocabulary.js';
import { stringOf } from '../../json.js';
import { parseOptions } from '../../options.js';
import { startSimulator } from '../../simulator.js';
import { at, eventually, Simulated } from '../../testing/simulated.js';
import type { SglangOptions } from './sglang-options.js';

const text = 'What SGLang is asked';
const ids = tokenize(text);
const right = answerTo(ids, { maxTokens: 4 });

describe('SGLang', () => {
  let server: Simulated;
  beforeEach(async () => {
    server = await Simulated.start('--dialect', 'sglang');
  });
  afterEach(() => server.close());

  it.each([{ text }, { input_ids: ids }])('generates from %j', async (prompt) => {
    const sampling_params = { max_new_tokens: 4 };
    const { json } = await server.post('/generate', { ...prompt, sampling_params, rid: 'r-1' });
    expect(json).toEqual({
      text: right.text,
      output_ids: right.ids,
      meta_info: {
        id: 'r-1',
        finish_reason: { type: 'length', length: 4 },
        prompt_tokens: ids.length,
        weight_version: 'default',
        completion_tokens: 4,
        cached_tokens: 0,
      },
    });
  });

  it('says by what an answer was stopped', async () => {
    const stop = { text: 'x <eos:2> y', sampling_params: {} };
    expect(at((await server.post('/generate', stop)).json, 'meta_info.finish_reason')).toEqual({
      type: 'stop',
      matched: EOS,
    });
    const word = detokenize(right.ids.slice(1, 2));
    const { json } = await server.post('/generate', { text, sampling_params: { stop: word } });
    expect(json).toMatchObject({
      text: detokenize(right.ids.slice(0, 1)),
      meta_info: { finish_reason: { type: 'stop', matched: word } },
    });
  });

  it('repeats itself in a stream, and ends it with [DONE]', async () => {
    const body = { text, sampling_params: { max_new_tokens: 3 }, stream: true };
    const { chunks, events } = await server.post('/generate', body);
    expect(chunks.map((chunk) => chunk['output_ids'])).toEqual([1, 2, 3].map((count) => right.ids.slice(0, count)));
    expect(chunks.map((chunk) => at(chunk, 'meta_info.completion_tokens'))).toEqual([1, 2, 3]);
    expect(chunks.map((chunk) => at(chunk, 'meta_info.finish_reason.type') ?? null)).toEqual([null, null, 'length']);
    expect(events.at(-1)).toBe('[DONE]');
  });

  it('tells what is new only when started so', async () => {
    const options = parseOptions(['--dialect', 'sglang']);
    const http: SglangOptions = { ...options.http, streamOutput: true };
    const simulator = await startSimulator({ ...options, http });
    const body = JSON.stringify({ input_ids: ids, sampling_params: { max_new_tokens: 3 }, stream: true });
    const answer = await fetch(`${simulator.url}/generate`, { method: 'POST', body, headers: { connection: 'close' } });
    const told = [...(await answer.text()).matchAll(/"output_ids":\[(\d+)\]/g)].map(([, id]) => Number(id));
    expect(told).toEqual(right.ids.slice(0, 3));
    await simulator.close();
  });

  it('answers a batch and several samples as a list', async () => {
    const sampling_params = { max_new_tokens: 2, n: 2 };
    const { text: body } = await server.post('/generate', { text: ['a', 'b'], rid: ['x', 'y'], sampling_params });
    expect((JSON.parse(body) as unknown[]).map((one) => at(one, 'meta_info.id'))).toEqual(['x', 'x', 'y', 'y']);
    const { chunks } = await server.post('/generate', { text: ['a', 'b'], sampling_params, stream: true });
    expect(new Set(chunks.map(({ index }) => index))).toEqual(new Set([0, 1, 2, 3]));
  });

  it('tells logprobs, of the prompt too', async () => {
    const body = { text, sampling_params: { max_new_tokens: 2 }, return_logprob: true, top_logprobs_num: 1 };
    const { json } = await server.post('/generate', { ...body, logprob_start_len: 0 });
    expect(at(json, 'meta_info.input_token_logprobs.0')).toEqual([null, ids[0], null]);
    expect(at(json, 'meta_info.output_token_logprobs')).toEqual(
      right.ids.slice(0, 2).map((id) => [expect.any(Number), id, null]),
    );
    expect(at(json, 'meta_info.output_top_logprobs.1.0.1')).toBe(right.ids[1]);
    expect(at((await server.post('/generate', body)).json, 'meta_info.input_token_logprobs')).toEqual([]);
  });

  it('aborts every request whose id begins with the given one', async () => {
    await server.faults({ kind: 'hang', at: 'token', afterTokens: 2 });
    const running = server.post('/generate', { text, sampling_params: {}, rid: 'key-01' });
    await eventually(() => server.simulator.engine.counts.generationTokens === 2);
    expect((await server.post('/abort_request', { rid: 'other' })).status).toBe(200);
    expect((await server.post('/abort_request', { rid: 'key' })).status).toBe(200);
    expect((await running).json).toMatchObject({
      output_ids: right.ids.slice(0, 2),
      meta_info: { finish_reason: { type: 'abort' } },
    });
  });

  it('has the OpenAI endpoints, whole and as streams', async () => {
    const chat = { messages: [{ role: 'user', content: 'hi' }], max_tokens: 3, rid: 'mine' };
    const whole = await server.post('/v1/chat/completions', chat);
    expect(whole.json).toMatchObject({
      id: 'mine',
      object: 'chat.completion',
      choices: [{ message: { role: 'assistant' }, finish_reason: 'length', matched_stop: null }],
      usage: { completion_tokens: 3 },
    });
    const streamed = await server.post('/v1/chat/completions', {
      ...chat,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(streamed.chunks.map((chunk) => stringOf(at(chunk, 'choices.0.delta.content'))).join('')).toBe(
      at(whole.json, 'choices.0.message.content'),
    );
    expect(streamed.chunks.at(-1)).toMatchObject({ choices: [], usage: at(whole.json, 'usage') });
    const completion = await server.post('/v1/completions', { prompt: text, max_tokens: 4, logprobs: 1 });
    expect(completion.json).toMatchObject({ choices: [{ text: right.text }] });
    const offsets = right.ids.map((_, index) => detokenize(right.ids.slice(0, index)).length);
    expect(at(completion.json, 'choices.0.logprobs.text_offset')).toEqual(offsets);
    const echo = { prompt: text, max_tokens: 4, echo: true, logprobs: 0 };
    const { json } = await server.post('/v1/completions', echo);
    expect(at(json, 'choices.0.text')).toBe(text + right.text);
    expect(at(json, 'choices.0.logprobs.token_logprobs')).toHaveLength(ids.length + 4);
    const { chunks } = await server.post('/v1/completions', { ...echo, stream: true });
    expect(chunks.map((chunk) => at(chunk, 'choices.0.text')).join('')).toBe(text + right.text);
  });

  it('has flat errors, and in a stream of /generate one of its own', async () => {
    expect((await server.post('/generate', {})).json).toMatchObject({ object: 'error', code: 400 });
    await server.close();
    server = await Simulated.start('--dialect', 'sglang', '--kv', 'sglang', '--role', 'decode');
    await server.faults({ kind: 'kv_load_failure' });
    const body = { text, bootstrap_host: 'h', bootstrap_room: 1, sampling_params: {} };
    expect((await server.post('/generate', body)).json).toMatchObject({ object: 'error', code: 500 });
    const { status, events } = await server.post('/generate', { ...body, stream: true });
    expect([status, events]).toEqual([200, ['{"error":{"message":"Internal server error"}}', '[DONE]']]);
  });

  it('says how it is', async () => {
    expect((await server.get('/health')).status).toBe(200);
    expect((await server.get('/get_model_info')).json).toMatchObject({ model_path: 'sim', is_generation: true });
    expect((await server.get('/get_server_info')).json).toMatchObject({ disaggregation_mode: 'null' });
    expect(JSON.parse((await server.get('/get_load')).text)).toMatchObject([{ dp_rank: 0, num_reqs: 0 }]);
    expect((await server.get('/v1/models')).json).toMatchObject({ data: [{ id: 'sim', owned_by: 'sglang' }] });
    expect((await server.get('/metrics')).text).toContain('sglang:num_queue_reqs{model_name="sim"} 0\n');
    expect((await server.post('/tokenize', { prompt: text })).json).toMatchObject({ tokens: ids, count: ids.length });
    expect((await server.post('/detokenize', { tokens: ids })).json).toEqual({ text });
    await server.faults({ kind: 'health_503' });
    expect((await server.get('/health')).status).toBe(503);
  });
});
