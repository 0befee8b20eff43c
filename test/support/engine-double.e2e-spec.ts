import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetch, request } from 'undici';
import {
  Gate,
  startEngineDouble,
  tokenId,
  tokenText,
  type EngineDouble,
  type EngineDoubleOptions,
} from './engine-double.js';

describe('The engine double', () => {
  let double: EngineDouble;
  afterEach(() => double.close());

  const start = async (options?: EngineDoubleOptions): Promise<void> => {
    double = await startEngineDouble(options);
  };
  const post = (path: string, body: unknown, signal?: AbortSignal) =>
    request(double.url + path, { method: 'POST', body: JSON.stringify(body), signal });
  const events = (text: string): string[] => text.split('\n\n').filter((event) => event !== '');
  const text = async (body: unknown, path = '/v1/completions'): Promise<string> => (await post(path, body)).body.text();
  const eventually = async (condition: () => boolean): Promise<void> => {
    for (const start = performance.now(); !condition() && performance.now() - start < 2_000;) await sleep(5);
    expect(condition()).toBe(true);
  };

  it('streams as many tokens as the request allows, in order, with usage and end mark', async () => {
    await start();
    const sent = events(
      await text({ prompt: 'abc', stream: true, max_tokens: 3, stream_options: { include_usage: true } }),
    );
    const chunks = sent
      .slice(0, -1)
      .map((event) => JSON.parse(event.slice(6)) as { choices: { text: string }[]; usage?: unknown });
    expect(chunks.map(({ choices }) => choices[0]?.text)).toEqual([
      tokenText(0),
      tokenText(1),
      tokenText(2),
      '',
      undefined,
    ]);
    expect(chunks.at(-1)?.usage).toEqual({ prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 });
    expect(sent.at(-1)).toBe('data: [DONE]');
  });

  it('answers chat and the token endpoint, streamed and whole', async () => {
    await start();
    const chat = events(await text({ messages: [], stream: true, max_tokens: 2 }, '/v1/chat/completions'));
    expect(chat[0]).toContain('"role":"assistant"');
    expect(chat[2]).toContain(`"content":"${tokenText(1)}"`);
    const ids = { token_ids: [1, 2], sampling_params: { max_tokens: 2 } };
    expect(await text({ ...ids, stream: true }, '/inference/v1/generate')).toContain(`"token_ids":[${tokenId(1)}]`);
    expect(JSON.parse(await text(ids, '/inference/v1/generate'))).toMatchObject({
      choices: [{ token_ids: [tokenId(0), tokenId(1)] }],
      kv_transfer_params: null,
    });
  });

  it('keeps a ledger of handoffs', async () => {
    await start();
    const prefill = async (): Promise<Record<string, unknown>> => {
      const answer = await text({ prompt: 'abc', max_tokens: 1, kv_transfer_params: { do_remote_decode: true } });
      return (JSON.parse(answer) as { kv_transfer_params: Record<string, unknown> }).kv_transfer_params;
    };
    const [taken, released] = [await prefill(), await prefill()];
    expect(taken).toMatchObject({ do_remote_prefill: true, remote_host: '127.0.0.1', remote_port: double.port });
    expect(double.handoffs).toEqual({ open: 2, taken: 0, released: 0, unknown: 0 });

    await text({ prompt: 'abc', kv_transfer_params: taken });
    await text({ prompt: 'abc', kv_transfer_params: taken });
    const release = () =>
      request(`${double.url}/kv/v1/handoffs/${String(released['remote_request_id'])}`, { method: 'DELETE' });
    expect((await release()).statusCode).toBe(204);
    expect((await release()).statusCode).toBe(404);
    expect(double.handoffs).toEqual({ open: 0, taken: 1, released: 1, unknown: 1 });
    expect(double.requests.map(({ leg }) => leg)).toEqual(['prefill', 'prefill', 'decode', 'decode', 'none', 'none']);
  });

  it('paces tokens one by one', async () => {
    await start({ behaviour: { intervalMs: 40 } });
    const answer = await post('/v1/completions', { stream: true, max_tokens: 4 });
    const arrivals: number[] = [];
    answer.body.on('data', () => arrivals.push(performance.now()));
    await once(answer.body, 'end');
    const gaps = arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? 0));
    expect(gaps).toHaveLength(3);
    for (const gap of gaps) expect(gap).toBeGreaterThan(25);
  });

  it('stops while nobody reads', async () => {
    await start({ behaviour: { tokens: 64, tokenBytes: 1024 * 1024 } });
    const { body } = await post('/v1/completions', { stream: true });
    await eventually(() => double.paused > 0);
    await sleep(100);
    expect(double.bytesWritten).toBeLessThan(32 * 1024 * 1024);
    await body.dump({ limit: 80 * 1024 * 1024 });
    await eventually(() => double.requests[0]?.state === 'complete');
    expect(double.bytesWritten).toBeGreaterThan(64 * 1024 * 1024);
  });

  it('holds at its gates and notices who leaves there', async () => {
    const [beforeHead, gate] = [new Gate(), new Gate()];
    await start({ behaviour: { beforeHead, beforeToken: { index: 2, gate } } });
    const leave = new AbortController();
    const answer = post('/v1/completions', { stream: true, max_tokens: 9 }, leave.signal);
    await beforeHead.reached;
    expect(double.active).toBe(1);
    beforeHead.open();
    const { body } = await answer;
    const ended = body.text().catch((error: unknown) => error);
    await gate.reached;
    expect(double.requests[0]?.progress.tokens).toBe(2);
    leave.abort();
    expect(await ended).toMatchObject({ name: 'AbortError' });
    await eventually(() => double.active === 0);
    expect(double.aborted).toEqual([expect.objectContaining({ state: 'aborted' })]);
  });

  it('fails as told', async () => {
    await start();
    const body = { stream: true, max_tokens: 9 };
    double.behave({ ending: { kind: 'no_done', afterTokens: 1 } });
    expect(events(await text(body))).toHaveLength(1);
    double.behave({ ending: { kind: 'error_event', afterTokens: 1 } });
    expect(events(await text(body)).slice(1)).toEqual([expect.stringContaining('"error"'), 'data: [DONE]']);
    double.behave(({ path }) => ({ ending: { kind: 'status', status: path === '/v1/completions' ? 429 : 500 } }));
    expect((await post('/v1/completions', body)).statusCode).toBe(429);

    double.behave({ ending: { kind: 'reset', afterTokens: 2 } });
    const { body: cut } = await post('/v1/completions', body);
    let received = '';
    await expect(async () => {
      for await (const chunk of cut) received += String(chunk);
    }).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(events(received)).toHaveLength(2);
    await eventually(() => double.requests.at(-1)?.state === 'reset');
    expect(double.aborted).toEqual([]);
  });

  it('has the tools of an engine server', async () => {
    await start();
    const json = async (path: string, body: unknown): Promise<unknown> => JSON.parse(await text(body, path));
    expect(await json('/tokenize', { prompt: 'hé' })).toMatchObject({ count: 3, tokens: [104, 195, 169] });
    expect(await json('/detokenize', { tokens: [104, 195, 169] })).toEqual({ prompt: 'hé' });
    expect(await (await fetch(`${double.url}/v1/models`)).json()).toMatchObject({ object: 'list' });
    double.healthy = false;
    expect((await fetch(`${double.url}/health`)).status).toBe(503);
    expect(double.requests).toEqual([]);
  });
});
