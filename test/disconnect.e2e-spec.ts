import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { eventually } from './support/eventually.js';
import { Gate } from './support/gate.js';
import type { InstanceProcess } from './support/instance-process.js';
import { startPair, startPrefill, type Pair } from './support/pair.js';
import { prefillLeg } from './support/prefill-leg.js';
import { holdings, idle, resources } from './support/quiescence.js';
import { RawPost, type Leaving } from './support/raw-client.js';

/** Goes on telling until it is stopped. */
const ENDLESS = { max_tokens: 1_500, min_tokens: 1_500, stream: true, temperature: 0 };
/** Room for an answer behind a long prompt. */
const SHORT = { max_tokens: 200, min_tokens: 200 };
const SHORT_PROMPT = 'Tell me a story about a fox named Ivy and a silver key.';
let serial = 0;
/** A prompt that no prefix cache knows, of about 1,700 tokens: some 200 ms of prefill. */
const longPrompt = (): string => `Story ${(serial += 1)}. ${'The sun was warm and the sky was blue. '.repeat(150)}`;

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair.stop());

describe.each<Leaving>(['RST', 'FIN'])('a client that leaves by %s', (leaving) => {
  let gate: Gate | undefined;
  let gated: InstanceProcess | undefined;

  afterEach(async () => {
    await gated?.stop();
    await gate?.close();
    gate = gated = undefined;
  });

  it('during prefill: P stops reading the prompt and hands nothing over', async () => {
    const before = await pair.prefill.metrics();
    const post = await RawPost.send(pair.prefill.url, '/v1/completions', {
      ...ENDLESS,
      ...SHORT,
      prompt: longPrompt(),
    });
    const evaluated = { source: 'evaluated' };
    await eventually('prefill has begun', async () => {
      const now = await pair.prefill.metrics();
      return now('baton_engine_prompt_tokens_total', evaluated) > before('baton_engine_prompt_tokens_total', evaluated);
    });
    post.leave(leaving);
    await idle([pair.prefill, pair.decode]);

    const after = await pair.prefill.metrics();
    const read =
      after('baton_engine_prompt_tokens_total', evaluated) - before('baton_engine_prompt_tokens_total', evaluated);
    // The proof that it left in the middle: some of the prompt was read, and not all of it.
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(1_500);
    expect(after('baton_engine_handoffs_total')).toBe(before('baton_engine_handoffs_total'));
    expect(post.received).toBe('');
  });

  it('in the gap: the handoff is freed, and D never works for it', async () => {
    gate = await Gate.before(pair.decode.url);
    gated = await startPrefill(gate.url);
    const before = await pair.decode.metrics();
    const post = await RawPost.send(gated.url, '/v1/chat/completions', {
      ...ENDLESS,
      messages: [{ role: 'user', content: SHORT_PROMPT }],
    });
    await gate.arrivals(1);
    // The proof that this is the gap: P answered and keeps the KV, D has not been reached.
    expect(await holdings(gated)).toMatchObject({ inFlight: 1, handoffs: 2 });
    post.leave(leaving);
    await idle([gated]);

    const freed = await gated.metrics();
    expect(freed('baton_engine_handoffs_total', { outcome: 'released' })).toBe(1);
    expect(freed('baton_handoffs_settled_total', { outcome: 'freed' })).toBe(1);
    expect(freed('baton_stream_end_total', { reason: 'client_gone' })).toBe(1);
    gate.open();
    await idle([pair.decode]);
    const after = await pair.decode.metrics();
    expect(after('baton_engine_sampled_tokens_total')).toBe(before('baton_engine_sampled_tokens_total'));
  });

  it('while D pulls: D lets go of the transfer, and the handoff stays whole until its owner frees it', async () => {
    const body = { ...ENDLESS, prompt: SHORT_PROMPT };
    const params = await prefillLeg(pair.prefill, body);
    gate = await Gate.before(`http://127.0.0.1:${String(params['remote_port'])}`);
    const kept = { handoffs: (await holdings(pair.prefill)).handoffs };
    expect(kept.handoffs).toBe(1);
    const before = await pair.decode.metrics();
    const freed = (await pair.prefill.metrics())('baton_engine_handoffs_total', { outcome: 'released' });
    const post = await RawPost.send(pair.decode.url, '/v1/completions', {
      ...body,
      kv_transfer_params: { ...params, remote_port: Number(new URL(gate.url).port) },
    });
    await gate.arrivals(1);
    // The proof that this is the pull: D has dialled the side channel, and has a file for what it will read.
    expect(await holdings(pair.decode)).toMatchObject({ inFlight: 1, tempFiles: 1 });
    post.leave(leaving);
    await idle([pair.decode]);

    gate.open();
    await idle([pair.decode]);
    const after = await pair.decode.metrics();
    for (const name of ['baton_engine_sampled_tokens_total', 'baton_engine_handoff_recomputed_total']) {
      expect({ name, count: after(name) }).toEqual({ name, count: before(name) });
    }
    // Nobody coordinates this leg: P keeps the handoff, and frees it when it is told to.
    expect(await holdings(pair.prefill)).toMatchObject(kept);
    const url = `http://127.0.0.1:${String(params['remote_port'])}/kv/v1/handoffs/${String(params['remote_request_id'])}`;
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(204);
    await idle([pair.prefill]);
    expect(await pair.prefill.metric('baton_engine_handoffs_total', { outcome: 'released' })).toBe(freed + 1);
  });

  it.each([
    { moment: 'at the first token', events: 1 },
    { moment: 'mid-decode', events: 40 },
  ])('$moment: D stops decoding', async ({ events }) => {
    const before = await pair.decode.metrics();
    const post = await RawPost.send(pair.prefill.url, '/v1/completions', { ...ENDLESS, prompt: SHORT_PROMPT });
    await post.eventsReach(events);
    post.leave(leaving);
    await idle([pair.prefill, pair.decode]);

    const after = await pair.decode.metrics();
    const sampled = after('baton_engine_sampled_tokens_total') - before('baton_engine_sampled_tokens_total');
    // The proof that it left in the middle: tokens were made, and far fewer than were asked for.
    expect(sampled).toBeGreaterThanOrEqual(events);
    expect(sampled).toBeLessThan(1_400);
    expect(post.received).not.toContain('[DONE]');
  });
});

describe('a client that leaves while it waits for a sequence', () => {
  const ONE = { BATON_ENGINE_SEQUENCES: '1' };
  let pair: Pair;
  beforeAll(async () => {
    pair = await startPair({ prefill: ONE, decode: ONE });
  });
  afterAll(() => pair.stop());

  it.each<Leaving>(['RST', 'FIN'])(
    'by %s gives up its place, and the KV state that it had brought',
    async (leaving) => {
      const first = await RawPost.send(pair.prefill.url, '/v1/completions', { ...ENDLESS, prompt: SHORT_PROMPT });
      await first.eventsReach(5);
      const second = await RawPost.send(pair.prefill.url, '/v1/completions', {
        ...ENDLESS,
        prompt: longPrompt(),
        ...SHORT,
      });
      await eventually('the second waits', async () => (await holdings(pair.decode)).waiting === 1);
      // The proof that it waits: the only sequence is the first one's, and the second's state has been brought over.
      expect(await holdings(pair.decode)).toMatchObject({ inFlight: 2, busySequences: 1, waiting: 1, tempFiles: 1 });
      second.leave(leaving);
      const nothing = { inFlight: 0, handoffs: 0, busySequences: 0, waiting: 0, tempFiles: 0 };
      const firstAlone = { ...nothing, inFlight: 1 };
      await eventually(
        'only the first is left',
        async () => {
          const [prefill, decode] = [await holdings(pair.prefill), await holdings(pair.decode)];
          return (
            isDeepStrictEqual(prefill, firstAlone) && isDeepStrictEqual(decode, { ...firstAlone, busySequences: 1 })
          );
        },
        500,
      );
      expect(second.received).toBe('');

      // The first one was not disturbed, and the sequence is there for the next.
      await first.eventsReach(first.events + 5);
      first.leave(leaving);
      await idle([pair.prefill, pair.decode]);
      const third = await RawPost.send(pair.prefill.url, '/v1/completions', { ...ENDLESS, prompt: SHORT_PROMPT });
      await third.eventsReach(5);
      third.leave(leaving);
      await idle([pair.prefill, pair.decode]);
    },
  );
});

describe('150 clients that leave at random moments', () => {
  it('leave nothing behind on either instance', async () => {
    const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);
    const random = mulberry32(seed);
    console.log(`TEST_SEED=${seed}`);
    await RawPost.send(pair.prefill.url, '/v1/completions', { prompt: SHORT_PROMPT, max_tokens: 4 }).then((post) =>
      eventually('the first answer', () => post.received.includes('usage')).then(() => post.leave('FIN')),
    );
    await idle([pair.prefill, pair.decode], 2_000);
    await sleep(5_000); // keep-alive connections of the first request end
    const baseline = await Promise.all([resources(pair.prefill), resources(pair.decode)]);

    // Half of them leave by the clock, before or after the head; half after some events.
    const moments = Array.from({ length: 150 }, (): { ms: number } | { events: number } =>
      random() < 0.5 ? { ms: random() * 120 } : { events: 1 + Math.floor(random() * 60) },
    );
    const stages = { beforeHead: 0, streaming: 0 };
    const worker = async (): Promise<void> => {
      for (let moment = moments.pop(); moment !== undefined; moment = moments.pop()) {
        const prompt = random() < 0.2 ? longPrompt() : SHORT_PROMPT;
        const stream = 'events' in moment || random() < 0.6;
        const post = await RawPost.send(pair.prefill.url, '/v1/completions', { ...ENDLESS, ...SHORT, prompt, stream });
        if ('events' in moment) await post.eventsReach(moment.events);
        else await sleep(moment.ms);
        stages[post.received === '' ? 'beforeHead' : 'streaming'] += 1;
        post.leave(random() < 0.5 ? 'RST' : 'FIN');
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));

    const took = await idle([pair.prefill, pair.decode], 2_000);
    const gone = await pair.prefill.metric('baton_stream_end_total', { reason: 'client_gone' });
    console.log(
      `150 disconnects: ${JSON.stringify(stages)}, ${gone} while in flight, idle after ${took.toFixed(0)} ms`,
    );
    // The proof that the faults happened: clients left in both stages, and the instance saw them go.
    expect(stages.beforeHead).toBeGreaterThan(6);
    expect(stages.streaming).toBeGreaterThan(6);
    expect(gone).toBeGreaterThan(90);

    const settled = async (): Promise<boolean> => {
      const now = await Promise.all([resources(pair.prefill), resources(pair.decode)]);
      return now.every(({ fds, sockets, timers }, i) => {
        const base = baseline[i]!;
        return fds <= base.fds + 3 && sockets <= base.sockets + 2 && timers <= base.timers + 2;
      });
    };
    await eventually('sockets, files and timers are back at the baseline', settled, 45_000).catch(
      async (error: Error) => {
        const now = await Promise.all([resources(pair.prefill), resources(pair.decode)]);
        throw new Error(`${error.message}: ${JSON.stringify({ baseline, now })}`);
      },
    );
    const started = await pair.prefill.metric('baton_requests_started_total');
    expect(await pair.prefill.metric('baton_stream_end_total')).toBe(started);
  }, 120_000);
});

/** A small seeded generator, so that a failing run can be replayed. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
