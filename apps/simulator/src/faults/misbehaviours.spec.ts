import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { answerTo } from '../engine/answer-tokens.js';
import { tokenize } from '../engine/vocabulary.js';
import { at, eventually, Simulated, textAt } from '../testing/simulated.js';
import type { Fault } from './fault.js';

const COMPLETIONS = '/v1/completions';
const body = { prompt: 'abc', max_tokens: 5 };
const streamed = { ...body, stream: true };
const right = answerTo(tokenize('abc'), { maxTokens: 5 }).text;
const CODES = { nested: 'error.code', flat: 'code', 'string-code': 'error.code' } as const;

describe('The misbehaviours', () => {
  let server: Simulated;
  beforeAll(async () => (server = await Simulated.start('--kv', 'nixl')));
  afterAll(() => server.close());

  const misbehaving = async (...faults: Fault[]) => {
    await server.faults(...faults);
    return server.post(COMPLETIONS, streamed);
  };
  const textOf = ({ chunks }: { chunks: readonly unknown[] }): string => textAt(chunks, 'choices.0.text');
  /** The answer as far as it came, and how its connection ended. */
  const raw = async (sent: object): Promise<{ text: string; end: string }> => {
    const call = request(`${server.url}${COMPLETIONS}`, { method: 'POST', agent: false });
    call.end(JSON.stringify(sent));
    let text = '';
    try {
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      for await (const chunk of response) text += String(chunk);
      return { text, end: 'end' };
    } catch (error) {
      return { text, end: String((error as { code?: unknown }).code) };
    }
  };

  it.each(['nested', 'flat', 'string-code'] as const)('a status with a %s error', async (shape) => {
    const answer = await misbehaving({ kind: 'http_status', status: 429, shape, headers: { 'retry-after': '7' } });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '7']);
    expect(at(answer.json, CODES[shape])).toBe(shape === 'string-code' ? 'server_selection_failed' : 429);
  });

  it.each([
    ['text', /told to answer 502/],
    ['html', /^<html>/],
    ['empty', /^$/],
    ['broken', /^\{"error":.*502$/],
  ] as const)('a status with a body that is %s', async (shape, expected) => {
    const answer = await misbehaving({ kind: 'http_status', status: 502, shape });
    expect([answer.status, answer.json]).toEqual([502, {}]);
    expect(answer.text).toMatch(expected);
  });

  it('no admission', async () => {
    expect((await misbehaving({ kind: 'admission_503' })).json).toMatchObject({
      error: { type: 'Service Unavailable', code: 503 },
    });
  });

  it('[DONE] alone', async () => expect((await misbehaving({ kind: 'done_only' })).events).toEqual(['[DONE]']));

  it('[DONE] without a finish reason', async () => {
    const answer = await misbehaving({ kind: 'no_finish_reason' });
    expect(answer.chunks.map((chunk) => at(chunk, 'choices.0.finish_reason'))).toEqual([null, null, null, null, null]);
    expect([textOf(answer), answer.events.at(-1)]).toEqual([right, '[DONE]']);
  });

  it.each([0, 2])('an abort by the engine after %p tokens', async (afterTokens) => {
    const answer = await misbehaving({ kind: 'abort_terminal', afterTokens });
    expect(textOf(answer)).toBe(right.slice(0, afterTokens * 6));
    expect(answer.chunks.at(-1)).toMatchObject({ choices: [{ text: '', finish_reason: 'abort' }] });
    expect(answer.events.at(-1)).toBe('[DONE]');
  });

  it.each([
    ['nested', 'error.message', true],
    ['flat', 'message', true],
    ['dialect', 'error.message', false],
  ] as const)('an error event, %s, in the middle', async (shape, path, done) => {
    const answer = await misbehaving({ kind: 'error_frame', afterTokens: 2, shape, message: 'no more', done });
    expect(textOf(answer)).toBe(right.slice(0, 12));
    expect(at(answer.chunks.at(-1), path)).toBe('no more');
    expect(answer.events.at(-1) === '[DONE]').toBe(done);
    expect(await server.lastRequest()).toMatchObject({ outcome: 'faulted', tokens: 3 });
  });

  it('an event that is no JSON', async () => {
    const answer = await misbehaving({ kind: 'malformed_event', afterTokens: 1 });
    expect(() => JSON.parse(answer.events[1]!) as unknown).toThrow(SyntaxError);
  });

  it('an end too early', async () => {
    const answer = await misbehaving({ kind: 'cut', afterTokens: 3 });
    expect([textOf(answer), answer.events.includes('[DONE]')]).toEqual([right.slice(0, 18), false]);
    expect(server.held).toEqual([]);
  });

  it('a reset in the middle, before the head, and of a whole answer', async () => {
    await server.faults({ kind: 'reset', afterTokens: 2 });
    const middle = await raw(streamed);
    expect([middle.text.split('data: ').length - 1, middle.end]).toEqual([2, 'ECONNRESET']);
    expect((await raw(body)).end).toBe('ECONNRESET');
    await server.faults({ kind: 'reset', at: 'head' });
    expect(await raw(streamed)).toEqual({ text: '', end: 'ECONNRESET' });
    await eventually(() => server.held.length === 0);
  });

  it('other framings of the same events', async () => {
    await server.faults({
      kind: 'sse_framing',
      newline: 'crlf',
      space: false,
      multiline: true,
      eventLines: true,
      chunkBytes: 7,
    });
    const { text } = await raw(streamed);
    expect(text).toMatch(/^event:message\r\ndata:\{\r\ndata:"id":/);
    expect(text.endsWith('data:[DONE]\r\n\r\n')).toBe(true);
    await server.faults({ kind: 'sse_framing', newline: 'cr' });
    expect((await raw(streamed)).text).not.toContain('\n');
  });

  it('comments between the events', async () => {
    const answer = await misbehaving({ kind: 'sse_comments', every: 2 });
    expect(answer.text.match(/^: keep-alive$/gm)).toHaveLength(2);
    expect(textOf(answer)).toBe(right);
  });

  it('hanging, until the fault is taken away', async () => {
    for (const point of ['head', 'queue', 'prefill', 'token', 'done'] as const) {
      await server.faults({ kind: 'hang', at: point, afterTokens: 1 });
      let over = false;
      const answer = server.post(COMPLETIONS, streamed).finally(() => (over = true));
      const at = { token: 1, done: 5 };
      const tokens = point === 'token' || point === 'done' ? at[point] : 0;
      for (let seen: unknown; seen !== tokens;)
        seen = (await server.lastRequest())['outcome'] === 'open' ? (await server.lastRequest())['tokens'] : undefined;
      expect(over).toBe(false);
      await server.faults();
      expect(textOf(await answer)).toBe(right);
    }
  });

  it('a slow head', async () => {
    const start = performance.now();
    await misbehaving({ kind: 'slow', at: 'head', ms: 80 });
    expect(performance.now() - start).toBeGreaterThan(75);
  });

  it('an end token that comes first', async () => {
    const answer = await misbehaving({ kind: 'eos_first' });
    expect(answer.chunks).toMatchObject([{ choices: [{ text: '', finish_reason: 'stop' }] }]);
  });

  it('a disconnect that goes unnoticed, and one that does not', async () => {
    for (const [fault, tokens] of [
      ['ignore_disconnect', 5],
      ['sse_comments', 1],
    ] as const) {
      await server.faults({ kind: fault }, { kind: 'hang', at: 'token', afterTokens: 1 });
      const leave = new AbortController();
      const answer = server.post(COMPLETIONS, streamed, {}, leave.signal).catch(() => undefined);
      await eventually(() => server.simulator.engine.runs.size === 1);
      while ((await server.lastRequest())['tokens'] !== 1);
      leave.abort();
      await answer;
      while ((await server.lastRequest())['leftIn'] === undefined);
      await server.faults();
      await eventually(() => server.simulator.engine.runs.size === 0);
      expect(await server.lastRequest()).toMatchObject({ outcome: 'aborted', leftIn: 'decode', tokens });
    }
    expect(server.held).toEqual([]);
  });

  it('a body that is cut or broken', async () => {
    await server.faults({ kind: 'malformed_json' });
    const broken = await server.post(COMPLETIONS, body);
    expect([broken.status, broken.json]).toEqual([200, {}]);
    await server.faults({ kind: 'cut' });
    expect((await raw(body)).end).toBe('ECONNRESET');
  });

  it('a cache that does not load, nothing handed over, something else handed over', async () => {
    const leg = { ...body, max_tokens: 1, kv_transfer_params: { do_remote_decode: true } };
    await server.faults({ kind: 'null_params', where: 'prefill' });
    expect((await server.post(COMPLETIONS, leg)).json['kv_transfer_params']).toBeNull();
    await server.faults(
      { kind: 'drop_param_keys', keys: ['remote_host'] },
      { kind: 'extra_params', params: { next: { x: 1 } } },
    );
    const params = (await server.post(COMPLETIONS, leg)).json['kv_transfer_params'];
    expect([at(params, 'remote_host'), at(params, 'next.x')]).toEqual([undefined, 1]);
    await server.faults({ kind: 'lease_expired', where: 'prefill' }, { kind: 'kv_load_failure', where: 'decode' });
    const spoiled = (await server.post(COMPLETIONS, leg)).json['kv_transfer_params'];
    expect((await server.post(COMPLETIONS, { ...body, kv_transfer_params: spoiled })).status).toBe(500);
    await server.faults();
    const wrong = await server.post(COMPLETIONS, { ...body, kv_transfer_params: spoiled });
    expect([wrong.status, at(wrong.json, 'choices.0.text') === right]).toEqual([200, false]);
    server.simulator.engine.ledger.free(server.held[0]?.['id'] as string, 'test');
  });

  it('befall as many requests as they say, of the legs and paths that they say', async () => {
    await server.faults({ kind: 'http_status', status: 500, where: 'none', path: 'completions', skip: 1, times: 1 });
    const statuses = [];
    for (let index = 0; index < 3; index++) statuses.push((await server.post(COMPLETIONS, body)).status);
    expect(statuses).toEqual([200, 500, 200]);
    expect((await server.get('/sim/faults')).text).toContain('"befallen":1');

    const run = async (): Promise<number[]> => {
      await server.faults({ kind: 'http_status', status: 500, probability: 0.5, seed: 3 });
      const seen = [];
      for (let index = 0; index < 20; index++) seen.push((await server.post(COMPLETIONS, body)).status);
      return seen;
    };
    const first = await run();
    expect(await run()).toEqual(first);
    expect(new Set(first)).toEqual(new Set([200, 500]));
    await server.faults();
  });

  it('are refused when they are none', async () => {
    await expect(server.faults({ kind: 'nonsense' } as unknown as Fault)).rejects.toThrow('Not a fault');
    await expect(server.faults({ kind: 'hang' } as unknown as Fault)).rejects.toThrow('Not a fault');
  });
});
