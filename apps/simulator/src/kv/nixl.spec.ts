import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { answerTo } from '../engine/answer-tokens.js';
import { tokenize } from '../engine/vocabulary.js';
import { objectOf, type JsonObject } from '../json.js';
import { at, eventually, Simulated } from '../testing/simulated.js';

const COMPLETIONS = '/v1/completions';
const prompt = 'Forty tokens of a prompt, more or less so.';
const right = answerTo(tokenize(prompt), { maxTokens: 6 }).text;

describe('NIXL', () => {
  let prefill: Simulated;
  let decode: Simulated;
  beforeEach(async () => {
    prefill = await Simulated.start('--kv', 'nixl', '--kv-blocks', '64');
    decode = await Simulated.start('--kv', 'nixl', '--kv-blocks', '64');
  });
  afterEach(() => Promise.all([prefill.close(), decode.close()]));

  const prefilled = async (body: JsonObject = {}): Promise<JsonObject> => {
    const leg = { prompt, max_tokens: 1, kv_transfer_params: { do_remote_decode: true }, ...body };
    return objectOf((await prefill.post(COMPLETIONS, leg, { 'x-request-id': 'k-1' })).json['kv_transfer_params']) ?? {};
  };
  const decoded = (params: JsonObject, body: JsonObject = {}, signal?: AbortSignal) =>
    decode.post(COMPLETIONS, { prompt, max_tokens: 6, kv_transfer_params: params, ...body }, {}, signal);

  it('hands over where the blocks are, and holds them under a lease', async () => {
    const params = await prefilled();
    expect(params).toMatchObject({
      do_remote_prefill: true,
      do_remote_decode: false,
      remote_block_ids: [[1, 2, 3]],
      remote_engine_id: at(prefill.addresses, 'engineIds.0'),
      remote_request_id: expect.stringMatching(/^cmpl-k-1-[0-9a-f]{8}$/),
      remote_host: '127.0.0.1',
      remote_port: prefill.addresses['kvPort'],
      tp_size: 1,
      remote_num_tokens: 42,
    });
    expect(prefill.held).toMatchObject([{ id: params['remote_request_id'], blocks: 3, state: 'handoff' }]);
    expect(at(prefill.held, '0.leaseEndsInMs')).toBeGreaterThan(25_000);
  });

  it('decodes from what it read, counts it as cached, and frees', async () => {
    const { json } = await decoded(await prefilled());
    expect(json).toMatchObject({
      choices: [{ text: right, finish_reason: 'length' }],
      usage: { prompt_tokens: 42, completion_tokens: 6, prompt_tokens_details: { cached_tokens: 42 } },
    });
    expect([prefill.held, decode.held, prefill.freedBy('pulled')]).toEqual([[], [], 1]);
  });

  it('hands over the prompt alone: its last block may be full, and the first token is in the next', async () => {
    const full = 'x'.repeat(32);
    const { json } = await decoded(await prefilled({ prompt: full }), { prompt: full });
    expect(at(json, 'choices.0.text')).toBe(answerTo(tokenize(full), { maxTokens: 6 }).text);
  });

  it('answers wrongly, with 200, from blocks that were freed and reused', async () => {
    const params = await prefilled();
    prefill.simulator.engine.ledger.free(String(params['remote_request_id']), 'lease_expired');
    expect(at((await decoded(params)).json, 'choices.0.text')).toBe(right);
    await prefill.post(COMPLETIONS, { prompt: 'Another prompt, as long as the first or so', max_tokens: 1 });
    const { status, json } = await decoded(params);
    expect(status).toBe(200);
    expect(at(json, 'choices.0.text')).not.toBe(right);
  });

  it('hands over when the first token ends the answer, not when it was aborted', async () => {
    expect(await prefilled({ prompt: 'x <eos:0>' })).toMatchObject({ do_remote_prefill: true });
    await prefill.faults({ kind: 'abort_terminal', afterTokens: 0 });
    expect(await prefilled()).toEqual({});
    expect(prefill.freedBy('aborted')).toBe(1);
  });

  it('prefills by itself when a key is missing, and for null', async () => {
    const { remote_port: _, ...incomplete } = await prefilled();
    const { json } = await decoded(incomplete);
    expect([at(json, 'choices.0.text'), at(json, 'usage.prompt_tokens_details.cached_tokens')]).toEqual([right, 0]);
    expect(decode.simulator.engine.kv?.counts).toMatchObject({ invalidParams: 1, reads: 0 });
    expect(prefill.held).toHaveLength(1);
  });

  it('fails, or computes by itself, when the other side is gone or is another', async () => {
    const params = await prefilled();
    const gone = { ...params, remote_port: 1 };
    expect((await decoded(gone)).json).toMatchObject({ error: { type: 'InternalServerError', code: 500 } });
    expect((await decoded({ ...params, remote_engine_id: 'other' })).status).toBe(500);
    expect(decode.held).toEqual([]);
    // A stream has begun before its cache was asked for.
    const streamed = await decoded(gone, { stream: true });
    expect([streamed.status, at(streamed.chunks[0], 'error.code'), streamed.events.at(-1)]).toEqual([
      200,
      500,
      '[DONE]',
    ]);
    const recomputes = await Simulated.start('--kv', 'nixl', '--kv-load-failure-policy', 'recompute');
    const answer = await recomputes.post(COMPLETIONS, { prompt, max_tokens: 6, kv_transfer_params: gone });
    await recomputes.close();
    expect(at(answer.json, 'choices.0.text')).toBe(right);
  });

  it('is told of a decode that is refused on the OpenAI endpoints, not on the token endpoint', async () => {
    expect((await decoded(await prefilled(), { model: 'other' })).status).toBe(404);
    await eventually(() => prefill.freedBy('decode_refused') === 1);
    const kv_transfer_params = await prefilled();
    const body = { token_ids: tokenize(prompt), sampling_params: { max_tokens: -1 }, kv_transfer_params };
    expect((await decode.post('/inference/v1/generate', body)).status).toBe(400);
    expect(prefill.held).toHaveLength(1);
  });

  it('is told of a decode that left while it waited, and of one that left in the queue', async () => {
    for (const where of ['load', 'queue'] as const) {
      await decode.faults({ kind: 'hang', at: where });
      const leave = new AbortController();
      const answer = decoded(await prefilled(), {}, leave.signal).catch(() => undefined);
      await eventually(() => decode.simulator.engine.runs.size === 1);
      leave.abort();
      await answer;
      await eventually(() => prefill.held.length === 0);
      await decode.faults();
    }
    expect(prefill.freedBy('decode_aborted')).toBe(2);
    await eventually(() => decode.held.length === 0);
  });

  it('frees at once when a prefill is aborted, and not when the abort comes late', async () => {
    await prefill.faults({ kind: 'hang', at: 'prefill' });
    const answer = prefill.post('/inference/v1/generate', {
      request_id: 'g',
      token_ids: tokenize(prompt),
      sampling_params: { max_tokens: 1 },
      kv_transfer_params: { do_remote_decode: true },
    });
    await eventually(() => prefill.held.length === 1);
    const abort = () => prefill.post('/inference/v1/abort_requests', { request_ids: ['generate-tokens-g'] });
    expect((await abort()).status).toBe(200);
    expect((await answer).json).toMatchObject({
      choices: [{ finish_reason: 'abort', token_ids: [] }],
      kv_transfer_params: null,
    });
    expect(prefill.held).toEqual([]);
    await prefill.faults();
    const params = await prefilled();
    await prefill.post('/inference/v1/abort_requests', {
      request_ids: ['cmpl-k-1', String(params['remote_request_id'])],
    });
    expect(prefill.held).toHaveLength(1);
  });

  it('keeps a lease up while the decode waits', async () => {
    const [short, patient] = await Promise.all([
      Simulated.start('--kv', 'nixl', '--kv-lease-ms', '150'),
      Simulated.start('--kv', 'nixl', '--kv-lease-ms', '150', '--heartbeat-ms', '20'),
    ]);
    const leg = { prompt, max_tokens: 1, kv_transfer_params: { do_remote_decode: true } };
    const params = at((await short.post(COMPLETIONS, leg)).json, 'kv_transfer_params');
    await patient.faults({ kind: 'slow', at: 'load', ms: 400 });
    const body = { prompt, max_tokens: 6, kv_transfer_params: params };
    const { json } = await patient.post(COMPLETIONS, body);
    expect([at(json, 'choices.0.text'), short.freedBy('pulled'), short.freedBy('lease_expired')]).toEqual([
      right,
      1,
      0,
    ]);
    await short.post(COMPLETIONS, leg);
    await eventually(() => short.freedBy('lease_expired') === 1);
    await Promise.all([short.close(), patient.close()]);
  });

  it('falls over prompt logprobs and echo on the decode, as the field does', async () => {
    expect((await decoded(await prefilled(), { prompt_logprobs: 1 })).status).toBe(500);
    expect((await decoded(await prefilled(), { echo: true })).status).toBe(500);
    await eventually(() => prefill.held.length === 0);
  });

  it('takes the params nested on the token endpoint, and overlooks either place when told to', async () => {
    const generate = async (where: 'top' | 'nested'): Promise<unknown> => {
      const kv_transfer_params = await prefilled();
      const sampling_params = { max_tokens: 2, ...(where === 'nested' && { extra_args: { kv_transfer_params } }) };
      const body = { token_ids: tokenize(prompt), sampling_params, ...(where === 'top' && { kv_transfer_params }) };
      return at((await decode.post('/inference/v1/generate', body)).json, 'usage.prompt_tokens_details.cached_tokens');
    };
    expect([await generate('top'), await generate('nested')]).toEqual([42, 42]);
    await decode.faults({ kind: 'ignore_top_level_params' });
    expect([await generate('top'), await generate('nested')]).toEqual([0, 42]);
    await decode.faults({ kind: 'ignore_extra_args_params' });
    expect([await generate('top'), await generate('nested')]).toEqual([42, 0]);
  });

  it('keeps ranks apart', async () => {
    const ranked = await Simulated.start('--kv', 'nixl', '--data-parallel-size', '2');
    const leg = { prompt, max_tokens: 1, kv_transfer_params: { do_remote_decode: true } };
    const { json } = await ranked.post(COMPLETIONS, leg, { 'x-data-parallel-rank': '1' });
    expect(at(json, 'kv_transfer_params.remote_engine_id')).toBe(at(ranked.addresses, 'engineIds.1'));
    expect(await ranked.lastRequest()).toMatchObject({ rank: 1, leg: 'prefill', outcome: 'complete' });
    await ranked.close();
  });
});
