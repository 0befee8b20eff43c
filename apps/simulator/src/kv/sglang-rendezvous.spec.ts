import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { answerTo } from '../engine/answer-tokens.js';
import { tokenize } from '../engine/vocabulary.js';
import type { JsonObject } from '../json.js';
import { at, eventually, Simulated, type Answered } from '../testing/simulated.js';

const prompt = 'A prompt whose KV goes from room to room.';
const right = answerTo(tokenize(prompt), { maxTokens: 6 });
const ROOM = 4_611_686_018_427_387_905n;

describe('the rendezvous of SGLang', () => {
  let prefill: Simulated;
  let decode: Simulated;
  const start = async (...args: string[]): Promise<void> => {
    prefill = await Simulated.start('--dialect', 'sglang', '--kv', 'sglang', '--role', 'prefill', ...args);
    decode = await Simulated.start('--dialect', 'sglang', '--kv', 'sglang', '--role', 'decode', ...args);
  };
  beforeEach(() => start());
  afterEach(() => Promise.all([prefill.close(), decode.close()]));

  const restart = async (...args: string[]): Promise<void> => {
    await Promise.all([prefill.close(), decode.close()]);
    await start(...args);
  };
  const body = (more: JsonObject = {}): JsonObject => ({
    prompt,
    max_tokens: 6,
    bootstrap_host: '127.0.0.1',
    bootstrap_port: prefill.addresses['bootstrapPort'],
    bootstrap_room: ROOM,
    ...more,
  });
  const post = (side: Simulated, more?: JsonObject, signal?: AbortSignal): Promise<Answered> =>
    side.post('/v1/completions', body(more), {}, signal);
  const both = (more?: JsonObject): Promise<Answered[]> => Promise.all([post(prefill, more), post(decode, more)]);
  const counts = (side: Simulated): JsonObject => side.simulator.engine.kv?.counts ?? {};

  it.each(['prefill first', 'decode first'])('meets, %s, and frees both sides', async (order) => {
    const sides = order === 'prefill first' ? [prefill, decode] : [decode, prefill];
    const early = post(sides[0] ?? prefill);
    await eventually(() => (sides[0]?.held.length ?? 0) === 1);
    const answers = await Promise.all([early, post(sides[1] ?? decode)]);
    const [ofPrefill, ofDecode] = order === 'prefill first' ? answers : answers.reverse();
    expect(ofPrefill?.json).toMatchObject({ choices: [{ finish_reason: 'length' }], usage: { completion_tokens: 1 } });
    expect(ofDecode?.json).toMatchObject({
      choices: [{ text: right.text, finish_reason: 'length' }],
      usage: { completion_tokens: 6, prompt_tokens_details: { cached_tokens: tokenize(prompt).length } },
    });
    expect([prefill.held, decode.held]).toEqual([[], []]);
  });

  it('keeps every digit of a room', async () => {
    await both();
    for (const side of [prefill, decode])
      expect(await side.lastRequest()).toMatchObject({
        body: { bootstrap_room: ROOM },
        handedOver: { bootstrap_room: `${ROOM}` },
      });
  });

  it('does not begin before the decode has come', async () => {
    const waiting = post(prefill);
    await eventually(() => prefill.held.length === 1);
    expect(await prefill.lastRequest()).toMatchObject({ phase: 'loading', outcome: 'open' });
    await Promise.all([waiting, post(decode)]);
  });

  it.each([{ bootstrap_room: undefined }, { bootstrap_host: null }, { bootstrap_room: 2n ** 63n }])(
    'refuses %j',
    async (more) => {
      for (const side of [prefill, decode]) expect(await post(side, more)).toMatchObject({ status: 400 });
    },
  );

  it('says so in its own words when there is no room', async () => {
    const { json } = await post(prefill, { bootstrap_room: null });
    expect(json).toMatchObject({ object: 'error', message: expect.stringContaining('without boostrap room id') });
  });

  it('falls over a room that is in use, with everybody in it', async () => {
    await prefill.faults({ kind: 'hang', at: 'prefill', times: 1 });
    const [first, waits] = [post(prefill), post(decode)];
    await eventually(() => counts(prefill)['joined'] === 1);
    const second = await post(prefill);
    expect([second.status, second.json['message']]).toEqual([500, expect.stringContaining(`${ROOM}`)]);
    expect((await waits).status).toBe(500);
    await prefill.faults();
    expect((await first).status).toBe(500);
    expect([counts(prefill)['duplicate_room'], prefill.held, decode.held]).toEqual([1, [], []]);
  });

  it('fails both decodes of one room', async () => {
    const first = post(decode);
    await eventually(() => decode.held.length === 1);
    const second = await post(decode);
    expect([(await first).status, second.status]).toEqual([500, 500]);
    expect([counts(decode)['duplicate_room'], decode.held]).toEqual([1, []]);
  });

  it('has one room for one answer', async () => {
    expect((await post(decode, { n: 2 })).status).toBe(500);
    expect((await post(decode, { n: 2 })).json['message']).toContain('one bootstrap_room');
  });

  it('has a room for each prompt of a batch, and none is left behind by one that is refused', async () => {
    const batch = { prompt: [prompt, prompt] };
    const refused = await post(decode, { ...batch, bootstrap_room: [7, null] });
    expect(refused.status).toBe(400);
    const [, ofDecode] = await both({ ...batch, bootstrap_room: [7, 8] });
    expect(ofDecode?.json).toMatchObject({ choices: [{ text: right.text }, { text: right.text }] });
    expect([prefill.held, decode.held, counts(decode)['duplicate_room']]).toEqual([[], [], 0]);
  });

  it('waits for the other side until its timeout', async () => {
    await restart('--transfer-timeout-ms', '60');
    const [ofPrefill, ofDecode] = await Promise.all([post(prefill), post(decode, { bootstrap_room: 2 })]);
    expect(ofPrefill).toMatchObject({
      status: 500,
      json: { message: expect.stringContaining('KVPoll.Bootstrapping') },
    });
    expect(ofDecode).toMatchObject({ status: 500, json: { message: expect.stringContaining('timed out') } });
    expect([prefill.held, decode.held]).toEqual([[], []]);
    expect([counts(prefill)['bootstrapTimeouts'], counts(decode)['waitingTimeouts']]).toEqual([1, 1]);
  });

  it('does not tell the decode that its prefill was refused', async () => {
    await restart('--transfer-timeout-ms', '60');
    await prefill.faults({ kind: 'http_status', status: 503 });
    const [ofPrefill, ofDecode] = await both();
    expect([ofPrefill?.status, ofDecode?.status]).toEqual([503, 500]);
    expect(counts(decode)['waitingTimeouts']).toBe(1);
  });

  it('lets the prefill wait for a decode that has left', async () => {
    await restart('--transfer-timeout-ms', '100', '--prefill-us-per-token', '500');
    const leaves = new AbortController();
    const gone = post(decode, {}, leaves.signal).catch(() => undefined);
    const waiting = post(prefill);
    await eventually(() => prefill.held.length === 1 && decode.held.length === 1);
    leaves.abort();
    expect(await gone).toBeUndefined();
    expect((await waiting).status).toBe(500);
    expect([prefill.held, decode.held]).toEqual([[], []]);
  });

  it('fails at once when nobody is where the prefill should be', async () => {
    const port = prefill.addresses['bootstrapPort'];
    await prefill.close();
    const { status, json } = await post(decode, { bootstrap_port: port });
    expect([status, json['message']]).toEqual([500, expect.stringContaining('KVTransferError')]);
    prefill = await Simulated.start();
  });

  it('leaves KV behind when the prefill is aborted while the decode reads', async () => {
    await restart('--transfer-us-per-token', '10000', '--transfer-timeout-ms', '600');
    const leaves = new AbortController();
    const gone = post(prefill, {}, leaves.signal).catch(() => undefined);
    const reads = post(decode);
    await eventually(() => counts(prefill)['handed'] === 1);
    leaves.abort();
    await gone;
    await eventually(() => prefill.held.some(({ state }) => state === 'handoff'));
    await eventually(() => counts(prefill)['leaked'] === 1);
    await reads;
    await eventually(() => prefill.freedBy('leak_timeout') === 1);
    expect(prefill.held).toEqual([]);
  });

  it('frees the KV of a prefill that is aborted before', async () => {
    const leaves = new AbortController();
    const gone = post(prefill, {}, leaves.signal).catch(() => undefined);
    await eventually(() => prefill.held.length === 1);
    leaves.abort();
    await gone;
    await eventually(() => prefill.held.length === 0);
    expect(counts(prefill)['leaked']).toBe(0);
  });

  it('has the first token of the prefill, also when that is the end', async () => {
    await prefill.faults({ kind: 'eos_first' });
    const [, ofDecode] = await both();
    expect(ofDecode?.json).toMatchObject({ choices: [{ text: '', finish_reason: 'stop' }] });
  });

  it('is not asked for by a server that is no side of a pair', async () => {
    const plain = await Simulated.start('--dialect', 'sglang', '--kv', 'sglang');
    const { json } = await post(plain);
    expect(at(json, 'choices.0.text')).toBe(right.text);
    await plain.close();
  });
});
