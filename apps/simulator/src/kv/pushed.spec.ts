import { afterEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answerTo } from '../engine/answer-tokens.js';
import { detokenize, tokenize } from '../engine/vocabulary.js';
import { at, eventually, Simulated } from '../testing/simulated.js';

const COMPLETIONS = '/v1/completions';
const prompt = 'A prompt that goes some way.';
const ids = tokenize(prompt);
const right = answerTo(ids, { maxTokens: 6 });
const cached = 'usage.prompt_tokens_details.cached_tokens';

describe('A pair by', () => {
  let pair: Simulated[] = [];
  const start = async (...args: string[]): Promise<[Simulated, Simulated]> => {
    const [prefill, decode] = await Promise.all([Simulated.start(...args), Simulated.start(...args)]);
    pair = [prefill, decode];
    return [prefill, decode];
  };
  afterEach(async () => {
    await Promise.all(pair.map((server) => server.close()));
    expect(pair.flatMap((server) => server.held)).toEqual([]);
  });

  describe('P2P-NCCL', () => {
    it('meets by the addresses in the request id', async () => {
      const [prefill, decode] = await start('--kv', 'p2p-nccl');
      const id = `___prefill_addr_${String(prefill.addresses['zmqAddress'])}___decode_addr_${String(decode.addresses['zmqAddress'])}_${'a'.repeat(32)}`;
      const headers = { 'x-request-id': id };
      const early = decode.post(COMPLETIONS, { prompt, max_tokens: 6 }, headers);
      await eventually(() => decode.held.length === 1);
      await prefill.post(COMPLETIONS, { prompt, max_tokens: 1 }, headers);
      const { json } = await early;
      expect([at(json, 'choices.0.text'), at(json, cached)]).toEqual([right.text, ids.length]);
      expect([(await prefill.lastRequest())['leg'], (await decode.lastRequest())['leg']]).toEqual([
        'prefill',
        'decode',
      ]);
    });

    it('waits until it times out, and runs what has no addresses as it is', async () => {
      const [prefill, decode] = await start('--kv', 'p2p-nccl', '--transfer-timeout-ms', '100');
      const addresses = [prefill, decode].map((server) => String(server.addresses['zmqAddress']));
      const headers = { 'x-request-id': `___prefill_addr_${addresses[0]!}___decode_addr_${addresses[1]!}_b` };
      expect((await decode.post(COMPLETIONS, { prompt }, headers)).status).toBe(500);
      expect(at((await decode.post(COMPLETIONS, { prompt, max_tokens: 6 })).json, cached)).toBe(0);
    });
  });

  describe('LMCache', () => {
    const spec = (decode: Simulated): object => ({
      req_id: 'r',
      receiver_host: '127.0.0.1',
      receiver_init_port: [decode.addresses['kvPort']],
      receiver_alloc_port: [],
    });

    it('gives the first token to whoever asked, and goes on behind it', async () => {
      const [prefill, decode] = await start('--kv', 'lmcache');
      const kv_transfer_params = { ret_first_tok: true, disagg_spec: spec(decode) };
      const { json } = await prefill.post(COMPLETIONS, { prompt: ids, max_tokens: 1, kv_transfer_params });
      expect(json['kv_transfer_params']).toEqual({ first_tok: right.ids[0] });
      expect(decode.held).toMatchObject([{ state: 'received' }]);
      const rest = await decode.post(COMPLETIONS, { prompt: [...ids, right.ids[0]], max_tokens: 5 });
      expect(at(rest.json, 'choices.0.text')).toBe(detokenize(right.ids.slice(1)));
      expect([at(rest.json, cached), decode.freedBy('consumed')]).toEqual([ids.length, 1]);
    });

    it('computes by itself what it did not receive', async () => {
      const [, decode] = await start('--kv', 'lmcache');
      const { json } = await decode.post(COMPLETIONS, { prompt: [...ids, right.ids[0]], max_tokens: 5 });
      expect([at(json, 'choices.0.text'), at(json, cached)]).toEqual([detokenize(right.ids.slice(1)), 0]);
    });

    it('forgets the first token when told to', async () => {
      const [prefill] = await start('--kv', 'lmcache');
      await prefill.faults({ kind: 'missing_first_token', where: 'prefill' });
      const body = { prompt: ids, max_tokens: 1, kv_transfer_params: { ret_first_tok: true } };
      expect((await prefill.post(COMPLETIONS, body)).json['kv_transfer_params']).toEqual({});
    });
  });

  describe('shared storage', () => {
    it('finds what another has stored', async () => {
      const dir = await mkdtemp(join(tmpdir(), 'simulator-'));
      const [prefill, decode] = await start('--kv', 'shared-storage', '--store-dir', dir);
      await prefill.post(COMPLETIONS, { prompt, max_tokens: 1 });
      const { json } = await decode.post(COMPLETIONS, { prompt, max_tokens: 6 });
      expect([at(json, 'choices.0.text'), at(json, cached)]).toEqual([right.text, ids.length]);
      const other = await decode.post(COMPLETIONS, { prompt: 'unknown', max_tokens: 6 });
      expect([at(other.json, 'choices.0.text'), at(other.json, cached)]).toEqual([
        answerTo(tokenize('unknown'), { maxTokens: 6 }).text,
        0,
      ]);
      await rm(dir, { recursive: true });
    });
  });
});
