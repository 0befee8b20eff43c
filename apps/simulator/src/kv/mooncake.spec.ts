import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { answerTo } from '../engine/answer-tokens.js';
import { tokenize } from '../engine/vocabulary.js';
import type { JsonObject } from '../json.js';
import { at, eventually, Simulated } from '../testing/simulated.js';

const prompt = 'A prompt that is handed over by push.';
const right = answerTo(tokenize(prompt), { maxTokens: 6 }).text;

describe('Mooncake', () => {
  let prefill: Simulated;
  let decode: Simulated;
  let engineId = '';
  beforeEach(async () => {
    prefill = await Simulated.start('--kv', 'mooncake', '--role', 'prefill', '--transfer-timeout-ms', '300');
    decode = await Simulated.start('--kv', 'mooncake', '--role', 'decode', '--transfer-timeout-ms', '300');
    const answer = await fetch(`http://127.0.0.1:${String(prefill.addresses['bootstrapPort'])}/query`);
    engineId = String(at(await answer.json(), '0.engine_id'));
  });
  afterEach(() => Promise.all([prefill.close(), decode.close()]));

  const prefilled = (transfer_id: string | undefined, body: JsonObject = {}) =>
    prefill.post('/v1/completions', {
      prompt,
      max_tokens: 1,
      kv_transfer_params: { do_remote_decode: true, do_remote_prefill: false, transfer_id },
      ...body,
    });
  const decoded = (transfer_id: string, signal?: AbortSignal, asked = prompt) => {
    const remote_bootstrap_addr = `http://127.0.0.1:${String(prefill.addresses['bootstrapPort'])}`;
    const params = { do_remote_prefill: true, remote_bootstrap_addr, remote_engine_id: engineId, transfer_id };
    return decode.post('/v1/completions', { prompt: asked, max_tokens: 6, kv_transfer_params: params }, {}, signal);
  };

  it('tells its engine ids by rank, and hands nothing over in the answer', async () => {
    expect(engineId).toBe(at(prefill.addresses, 'engineIds.0'));
    expect((await prefilled('t')).json['kv_transfer_params']).toBeNull();
    expect(prefill.held).toMatchObject([{ state: 'handoff' }]);
  });

  it.each(['prefill first', 'decode first'])('meets, %s', async (order) => {
    const early = order === 'decode first' ? decoded('t') : undefined;
    if (early !== undefined) await eventually(() => decode.held.length === 1);
    await prefilled('t');
    const { json } = await (early ?? decoded('t'));
    expect([at(json, 'choices.0.text'), at(json, 'usage.prompt_tokens_details.cached_tokens')]).toEqual([right, 37]);
    expect([prefill.held, decode.held, prefill.freedBy('pushed')]).toEqual([[], [], 1]);
  });

  it('hands over the prompt alone: its last block may be full, and the first token is in the next', async () => {
    const full = 'x'.repeat(32);
    await prefilled('t', { prompt: full });
    const { json } = await decoded('t', undefined, full);
    expect(at(json, 'choices.0.text')).toBe(answerTo(tokenize(full), { maxTokens: 6 }).text);
  });

  it('drops the cache when the first token ends the answer: the decode waits until it times out', async () => {
    expect((await prefilled('t', { prompt: 'x <eos:0>' })).json).toMatchObject({
      choices: [{ finish_reason: 'stop' }],
    });
    expect(prefill.held).toEqual([]);
    expect((await decoded('t')).status).toBe(500);
  });

  it('lets a decode wait for a prefill that was told no transfer id', async () => {
    await prefilled(undefined);
    expect(prefill.simulator.engine.kv?.counts).toMatchObject({ missingTransferId: 1 });
    expect((await decoded('t')).status).toBe(500);
  });

  it('is told of a decode that left, before and after the prefill', async () => {
    await prefilled('other');
    for (const order of ['before', 'after']) {
      const leave = new AbortController();
      const answer = decoded(order, leave.signal).catch(() => undefined);
      await eventually(() => decode.held.length === 1);
      leave.abort();
      await answer;
      await eventually(() => decode.held.length === 0);
    }
    await prefilled('before');
    expect(prefill.held).toHaveLength(1);
    await eventually(() => prefill.freedBy('transfer_timeout') === 1);
    expect(prefill.held).toEqual([]);
  });

  it('asserts the roles', async () => {
    const params = { do_remote_prefill: true };
    expect((await prefill.post('/v1/completions', { prompt, kv_transfer_params: params })).status).toBe(500);
  });
});
