import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { eventually } from './support/eventually.js';
import { InstanceProcess } from './support/instance-process.js';
import { startPair, startPrefill, type Pair } from './support/pair.js';
import { prefillLeg, type Params } from './support/prefill-leg.js';
import { idle } from './support/quiescence.js';
import { RawPost } from './support/raw-client.js';
import { ask, FLOWS } from './support/requests.js';

const PROMPT = 'Tell me a story about a fox named Ivy and a silver key.';
const ENDLESS = { prompt: PROMPT, max_tokens: 1_800, min_tokens: 1_800, stream: true, temperature: 0 };
const COMPLETIONS = FLOWS[0]!;
const PROMPT_TOKENS = 'baton_engine_prompt_tokens_total';

/** The JSON events that a raw client received, and whether the end mark came last. */
function eventsOf(received: string): { events: Record<string, unknown>[]; isDone: boolean } {
  const lines = [...received.matchAll(/^data: (.*)$/gm)].map((match) => match[1]!);
  return {
    events: lines.filter((line) => line !== '[DONE]').map((line) => JSON.parse(line) as Record<string, unknown>),
    isDone: lines.at(-1) === '[DONE]',
  };
}

describe('when a process or a connection dies', () => {
  const running: { stop(): Promise<unknown> }[] = [];
  const started = async <T extends { stop(): Promise<unknown> }>(starting: Promise<T>): Promise<T> => {
    const it = await starting;
    running.push(it);
    return it;
  };
  afterEach(async () => {
    await Promise.all(running.splice(0).map((process) => process.stop()));
  });

  it('kill -9 of D mid-stream ends the stream with an error event, never silently', async () => {
    const pair = await started<Pair>(startPair());
    const post = await RawPost.send(pair.prefill.url, '/v1/completions', ENDLESS);
    await post.eventsReach(20);
    await pair.decode.stop('SIGKILL');
    expect(pair.decode.child.signalCode).toBe('SIGKILL');
    await eventually('the stream has ended', () => post.received.includes('[DONE]'));

    const { events, isDone } = eventsOf(post.received);
    expect(isDone).toBe(true);
    expect(events.at(-1)).toMatchObject({ error: { type: 'server_error', code: 'remote_reset' } });
    expect(events.slice(0, -1).some((event) => 'error' in event)).toBe(false);
    expect(events.length).toBeLessThan(1_800);
    await idle([pair.prefill]);
    expect(await pair.prefill.metric('baton_stream_end_total', { reason: 'upstream_error' })).toBe(1);
    expect(await pair.prefill.metric('baton_local_fallback_total')).toBe(0);
  });

  it('kill -9 of P ends the work of D', async () => {
    const pair = await started<Pair>(startPair());
    const post = await RawPost.send(pair.prefill.url, '/v1/completions', ENDLESS);
    await post.eventsReach(10);
    expect(await pair.decode.metric('baton_engine_sequences', { state: 'busy' })).toBe(1);
    await pair.prefill.stop('SIGKILL');
    await idle([pair.decode]);
    const sampled = await pair.decode.metric('baton_engine_sampled_tokens_total');
    expect(sampled).toBeGreaterThanOrEqual(10);
    expect(sampled).toBeLessThan(1_700);
    expect(await pair.decode.metric('baton_stream_end_total', { reason: 'client_gone' })).toBe(1);
  });

  it('D that cannot be reached: P finishes the request from its own KV, with the same text', async () => {
    const alone = await started(InstanceProcess.start({ BATON_ENGINE_THREADS: '1' }));
    const vacant = createServer().listen(0, '127.0.0.1');
    await once(vacant, 'listening');
    const port = (vacant.address() as AddressInfo).port;
    vacant.close();
    await once(vacant, 'close');
    const prefill = await started(startPrefill(`http://127.0.0.1:${port}`));

    for (const flow of FLOWS) {
      const body = flow.body(PROMPT, [1, 4, 40, 50, 60], 16);
      const expected = await ask(alone.url, flow, body);
      for (const stream of [false, true]) {
        const answer = await ask(prefill.url, flow, body, { stream });
        expect(answer.status).toBe(200);
        expect(answer.said).toBe(expected.said);
      }
    }
    const metric = await prefill.metrics();
    expect(metric('baton_local_fallback_total', { reason: 'connect' })).toBe(6);
    // From its own KV: every prompt token but the last was read once or found in the cache, none again.
    expect(metric('baton_engine_handoffs_total', { outcome: 'taken' })).toBe(6);
    expect(metric('baton_engine_handoff_recomputed_total')).toBe(0);
    await idle([prefill]);
  });

  it('D that dies between the prefill and its first token: P finishes the request', async () => {
    const server = createServer((socket) =>
      socket.on('data', () => socket.resetAndDestroy()).on('error', () => undefined),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const prefill = await started(startPrefill(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    const answer = await ask(
      prefill.url,
      COMPLETIONS,
      { ...COMPLETIONS.body(PROMPT, [], 16), min_tokens: 16 },
      { stream: true },
    );
    expect(answer).toMatchObject({ status: 200, finishReason: 'length', isDone: true });
    expect(await prefill.metric('baton_local_fallback_total', { reason: 'reset' })).toBe(1);
    server.close();
  });

  describe('a handoff that cannot be used gives no wrong tokens: D reads the prompt itself and says why', () => {
    const cases: readonly { reason: string; settled: string; spoil: (params: Params) => Promise<Params> }[] = [
      {
        reason: 'lost',
        settled: 'released',
        spoil: async (params) => {
          const { remote_host: host, remote_port: port, remote_request_id: id } = params;
          const url = `http://${String(host)}:${String(port)}/kv/v1/handoffs/${String(id)}`;
          expect((await fetch(url, { method: 'DELETE' })).status).toBe(204);
          return params;
        },
      },
      // The whole state is read before its digest can be compared: P has handed it over.
      { reason: 'damaged', settled: 'taken', spoil: async (params) => ({ ...params, kv_sha256: 'a'.repeat(64) }) },
      // Known before the transfer: D frees what it can never use.
      {
        reason: 'mismatch',
        settled: 'released',
        spoil: async (params) => ({ ...params, kv_fingerprint: 'b'.repeat(64) }),
      },
    ];
    let pair: Pair;
    beforeAll(async () => {
      pair = await startPair();
    });
    afterAll(() => pair.stop());

    it.each(cases)('$reason', async ({ reason, settled, spoil }) => {
      const body = { ...COMPLETIONS.body(PROMPT, [], 16), min_tokens: 16 };
      const expected = await ask(pair.prefill.url, COMPLETIONS, body, { headers: { 'x-baton-leg': '1' } });
      const params = await prefillLeg(pair.prefill, body);

      const reasons = ['lost', 'mismatch', 'damaged', 'timeout', 'too_large'];
      const recomputed = async (): Promise<Record<string, number>> => {
        const metric = await pair.decode.metrics();
        const count = (of: string): number => metric('baton_engine_handoff_recomputed_total', { reason: of });
        return Object.fromEntries(reasons.map((of) => [of, count(of)]));
      };
      const fromHandoff = (): Promise<number> => pair.decode.metric(PROMPT_TOKENS, { source: 'handoff' });
      const handedOver = (): Promise<number> =>
        pair.prefill.metric('baton_engine_handoffs_total', { outcome: settled });
      const before = { recomputed: await recomputed(), fromHandoff: await fromHandoff(), settled: await handedOver() };
      const spoilt = await spoil(params);
      expect(await recomputed()).toEqual(before.recomputed);
      const answer = await ask(pair.decode.url, COMPLETIONS, { ...body, kv_transfer_params: spoilt });
      expect(answer.status).toBe(200);
      expect(answer.said).not.toBe('');
      expect(answer.said).toBe(expected.said);
      expect(await recomputed()).toEqual({ ...before.recomputed, [reason]: before.recomputed[reason]! + 1 });
      expect(await fromHandoff()).toBe(before.fromHandoff);
      await idle([pair.prefill, pair.decode]);
      expect(await handedOver()).toBe(before.settled + 1);
    });

    it('and one that is sound is used', async () => {
      const body = { ...COMPLETIONS.body(PROMPT, [], 16), min_tokens: 16 };
      const params = await prefillLeg(pair.prefill, body);
      const recomputed = (): Promise<number> => pair.decode.metric('baton_engine_handoff_recomputed_total');
      const fromHandoff = (): Promise<number> => pair.decode.metric(PROMPT_TOKENS, { source: 'handoff' });
      const before = { recomputed: await recomputed(), fromHandoff: await fromHandoff() };
      const answer = await ask(pair.decode.url, COMPLETIONS, { ...body, kv_transfer_params: params });
      expect(answer.status).toBe(200);
      expect(await recomputed()).toBe(before.recomputed);
      expect(await fromHandoff()).toBeGreaterThan(before.fromHandoff);
    });
  });

  it('D never pulls from a side channel that is not on its list', async () => {
    let connections = 0;
    const canary = createServer((socket) => {
      connections += 1;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await once(canary, 'listening');
    const decode = await started(InstanceProcess.start({ BATON_ENGINE_THREADS: '1', BATON_KV_PEERS: '127.0.0.1:1' }));
    const response = await ask(decode.url, COMPLETIONS, {
      ...COMPLETIONS.body(PROMPT, [], 4),
      kv_transfer_params: {
        kv_connector: 'embedded',
        do_remote_prefill: true,
        do_remote_decode: false,
        remote_engine_id: '11111111-0000-4000-8000-000000000000',
        remote_request_id: '00000000-0000-4000-8000-000000000000',
        remote_host: '127.0.0.1',
        remote_port: (canary.address() as AddressInfo).port,
        remote_num_tokens: 20,
        remote_blocks_expiry_time: Date.now() / 1_000 + 30,
        kv_bytes: 1_000,
        kv_sha256: 'a'.repeat(64),
        kv_fingerprint: 'b'.repeat(64),
      },
    });
    expect(response.status).toBe(403);
    expect(response.events[0]).toMatchObject({ error: { code: 'address_not_allowed' } });
    expect(connections).toBe(0);
    canary.close();
  });

  it('SIGTERM with an open stream: not ready at once, new requests refused, the stream is finished, exit code 0', async () => {
    const pair = await started<Pair>(startPair());
    const post = await RawPost.send(pair.prefill.url, '/v1/completions', {
      ...ENDLESS,
      max_tokens: 1_200,
      min_tokens: 1_200,
    });
    await post.eventsReach(5);
    const exited = once(pair.prefill.child, 'exit');
    pair.prefill.child.kill('SIGTERM');
    await eventually(
      'readiness is 503',
      async () => (await fetch(`${pair.prefill.url}/health/ready`)).status === 503,
      250,
    );
    expect(post.received).not.toContain('[DONE]');
    const refused = await ask(pair.prefill.url, COMPLETIONS, COMPLETIONS.body(PROMPT, [], 4));
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    expect(await exited).toEqual([0, null]);
    const { events, isDone } = eventsOf(post.received);
    expect(isDone).toBe(true);
    expect(events.some((event) => 'error' in event)).toBe(false);
  });

  it('SIGTERM with a stream that outlasts the drain: it ends with an error event, exit code 0', async () => {
    const pair = await started<Pair>(startPair({ prefill: { BATON_SERVER_DRAIN_TIMEOUT_MS: '200' } }));
    const post = await RawPost.send(pair.prefill.url, '/v1/completions', ENDLESS);
    await post.eventsReach(5);
    const exited = once(pair.prefill.child, 'exit');
    pair.prefill.child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    const { events, isDone } = eventsOf(post.received);
    expect(events.at(-1)).toMatchObject({ error: { code: 'drain_timeout' } });
    expect(isDone).toBe(true);
    await idle([pair.decode]);
  });

  it('removes what an instance that was killed left in the temporary directory', async () => {
    const { mkdtemp, readdir, rm } = await import('node:fs/promises');
    const { tmpdir } = await import('node:os');
    const { join } = await import('node:path');
    const directory = await mkdtemp(join(tmpdir(), 'baton-test-'));
    const files = async (): Promise<string[]> =>
      (await readdir(directory, { recursive: true })).filter((name) => /\/.+\/.+/.test(name));
    const first = await started(InstanceProcess.start({ BATON_ENGINE_THREADS: '1', BATON_KV_DIRECTORY: directory }));
    const leg = { do_remote_decode: true, do_remote_prefill: false };
    const kept = await ask(first.url, COMPLETIONS, { ...COMPLETIONS.body(PROMPT, [], 1), kv_transfer_params: leg });
    expect(kept.events[0]).toMatchObject({ kv_transfer_params: { do_remote_prefill: true } });
    await first.stop('SIGKILL');
    expect(await files()).toHaveLength(1);
    const second = await started(InstanceProcess.start({ BATON_ENGINE_THREADS: '1', BATON_KV_DIRECTORY: directory }));
    expect(await files()).toHaveLength(0);
    await second.stop();
    await rm(directory, { recursive: true });
  });
});
