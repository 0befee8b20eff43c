import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { answerTo } from '../../engine/answer-tokens.js';
import { detokenize, tokenize } from '../../engine/vocabulary.js';
import { parseOptions } from '../../options.js';
import { startSimulator, type Simulator } from '../../simulator.js';
import { at, eventually, Simulated } from '../../testing/simulated.js';
import type { LlamaCppOptions } from './llamacpp-options.js';

const prompt = 'What llama-server is asked';
const ids = tokenize(prompt);
const right = answerTo(ids, { maxTokens: 4 });

/** A server with options that the command line of the simulator may not have. */
function startWith(more: Partial<LlamaCppOptions>): Promise<Simulator> {
  const options = parseOptions(['--dialect', 'llamacpp']);
  const http: LlamaCppOptions = { ...options.http, ...more };
  return startSimulator({ ...options, http });
}

describe('llama-server', () => {
  let server: Simulated;
  beforeEach(async () => {
    server = await Simulated.start('--dialect', 'llamacpp');
  });
  afterEach(() => server.close());

  it.each([
    ['a text', prompt],
    ['ids', ids],
    ['both mixed', ['What', ...ids.slice(4, 6), detokenize(ids.slice(6))]],
  ])('completes %s', async (_what, asked) => {
    const { json } = await server.post('/completion', {
      prompt: asked,
      n_predict: 4,
      return_tokens: true,
      of_tomorrow: 1,
    });
    expect(json).toMatchObject({
      index: 0,
      content: right.text,
      tokens: right.ids,
      stop: true,
      stop_type: 'limit',
      stopping_word: '',
      tokens_predicted: 4,
      tokens_evaluated: ids.length,
      truncated: false,
      timings: { cache_n: 0, prompt_n: ids.length, predicted_n: 4 },
    });
  });

  it('gives ids only to who asks, except in streams, which have no end mark', async () => {
    const body = { prompt, n_predict: 3 };
    expect((await server.post('/completion', body)).json['tokens']).toEqual([]);
    const { chunks, events } = await server.post('/completion', { ...body, stream: true });
    expect(chunks.flatMap(({ tokens }) => tokens)).toEqual(right.ids.slice(0, 3));
    expect(chunks.map(({ stop }) => stop)).toEqual([false, false, false, true]);
    expect(chunks.at(-1)).toMatchObject({ stop_type: 'limit', tokens: [], tokens_predicted: 3 });
    expect(events).not.toContain('[DONE]');
  });

  it('says what has ended an answer', async () => {
    const word = detokenize(right.ids.slice(1, 2));
    const stopped = await server.post('/completion', { prompt, stop: [word] });
    expect(stopped.json).toMatchObject({ stop_type: 'word', stopping_word: word });
    expect((await server.post('/completion', { prompt: 'a <eos:1> b' })).json).toMatchObject({ stop_type: 'eos' });
  });

  it('answers several prompts and samples as a list', async () => {
    const { text } = await server.post('/completion', { prompt: ['a', 'b'], n_predict: 1, n_cmpl: 2 });
    expect((JSON.parse(text) as unknown[]).map((one) => at(one, 'index'))).toEqual([0, 1, 2, 3]);
  });

  it('has the OpenAI endpoints', async () => {
    const chat = { messages: [{ role: 'user', content: 'hi' }], max_tokens: 3 };
    const { json } = await server.post('/v1/chat/completions', chat);
    expect(json).toMatchObject({ choices: [{ finish_reason: 'length' }], timings: { predicted_n: 3 } });
    const streamed = await server.post('/v1/chat/completions', { ...chat, stream: true });
    expect(streamed.events.at(-1)).toBe('[DONE]');
    const completion = await server.post('/v1/completions', { prompt, max_tokens: 4 });
    expect(completion.json).toMatchObject({ choices: [{ text: right.text }] });
    const rendered = await server.post('/apply-template', { messages: chat.messages });
    expect(rendered.json['prompt']).toContain('<|im_start|>assistant');
  });

  it('has errors of its own shape', async () => {
    const { status, json } = await server.post('/completion', { prompt: [] });
    expect([status, json]).toEqual([
      400,
      { error: { code: 400, message: '"prompt" must not be empty', type: 'invalid_request_error' } },
    ]);
  });

  it('keeps what a slot has computed, unless told not to', async () => {
    const ask = async (more: object): Promise<unknown> =>
      at((await server.post('/completion', { prompt, n_predict: 4, ...more })).json, 'timings.cache_n');
    expect(await ask({ id_slot: 1 })).toBe(0);
    expect(server.held).toMatchObject([{ state: 'slot' }]);
    expect(await ask({ id_slot: 2 })).toBe(0);
    expect(await ask({ id_slot: 1 })).toBe(ids.length - 1);
    expect(await ask({ id_slot: 1, prompt: `${prompt} and more` })).toBe(ids.length);
    expect(await ask({ id_slot: 1, cache_prompt: false })).toBe(0);
    expect((await server.post('/completion', { prompt, id_slot: 9 })).status).toBe(400);
  });

  it('lets a request wait for its slot', async () => {
    await server.faults({ kind: 'hang', at: 'prefill', times: 1 });
    const first = server.post('/completion', { prompt, n_predict: 1, id_slot: 0 });
    await eventually(() => server.held.length === 1);
    const second = server.post('/completion', { prompt, n_predict: 1, id_slot: 0 });
    await eventually(() => server.held.length === 2);
    expect((await server.get('/metrics')).text).toContain('\nllamacpp:requests_deferred 1\n');
    expect(JSON.parse((await server.get('/slots')).text)).toMatchObject([{ is_processing: true }, {}, {}, {}]);
    await server.faults();
    expect(at((await first).json, 'timings.cache_n')).toBe(0);
    expect(at((await second).json, 'timings.cache_n')).toBe(ids.length - 1);
  });

  it('goes on for a client that has left, in builds that do not notice', async () => {
    await server.faults({ kind: 'hang', at: 'token', afterTokens: 1 }, { kind: 'ignore_disconnect' });
    const leaves = new AbortController();
    const gone = server.post('/completion', { prompt, n_predict: 4 }, {}, leaves.signal).catch(() => undefined);
    await eventually(() => server.simulator.engine.counts.generationTokens === 1);
    leaves.abort();
    await gone;
    await server.faults();
    await eventually(() => server.simulator.engine.counts.finished.length === 1);
  });

  it('says how it is, when it has loaded', async () => {
    expect((await server.get('/health')).json).toEqual({ status: 'ok' });
    expect((await server.get('/props')).json).toMatchObject({ total_slots: 4, model_path: 'sim' });
    expect((await server.post('/tokenize', { content: 'ab' })).json).toEqual({ tokens: [97, 98] });
    expect((await server.post('/tokenize', { content: 'a', with_pieces: true })).json).toEqual({
      tokens: [{ id: 97, piece: 'a' }],
    });
    expect((await server.post('/detokenize', { tokens: [97] })).json).toEqual({ content: 'a' });
    expect((await server.get('/v1/models')).json).toMatchObject({ data: [{ owned_by: 'llamacpp' }] });
    expect((await server.post('/slots/0?action=save', { filename: 'a.bin' })).status).toBe(501);
    const loading = await startWith({ loadMs: 60_000 });
    for (const path of ['/health', '/props']) {
      const answer = await fetch(loading.url + path, { headers: { connection: 'close' } });
      expect([answer.status, await answer.json()]).toEqual([
        503,
        { error: { code: 503, message: 'Loading model', type: 'unavailable_error' } },
      ]);
    }
    await loading.close();
  });

  it('comments while a stream is silent', async () => {
    const pinging = await startWith({ ssePingMs: 5 });
    pinging.faults.replace([{ kind: 'slow', at: 'prefill', ms: 100 }]);
    const body = JSON.stringify({ prompt, n_predict: 1, stream: true });
    const answer = await fetch(`${pinging.url}/completion`, { method: 'POST', body, headers: { connection: 'close' } });
    expect((await answer.text()).startsWith(':\n\n')).toBe(true);
    await pinging.close();
  });
});
