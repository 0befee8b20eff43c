import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inferenceRequest, wholeAnswer, type JsonObject } from '@baton/inference';
import type { DialectName } from '@baton/remotes';
import { afterEach, describe, expect, it } from '@jest/globals';
import { firstValueFrom } from 'rxjs';
import { HttpEngine, type HttpEngineOptions } from './http-engine.js';

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** JSON, text, or what answers by itself. */
type Answer = object | string | ((request: IncomingMessage, response: ServerResponse) => void);

function isHandler(answer: Answer | undefined): answer is Extract<Answer, (...args: never[]) => void> {
  return typeof answer === 'function';
}

/** An engine in front of a server that answers each route as said, with 404 elsewhere. */
async function engineOf(routes: Readonly<Record<string, Answer>>, options: Partial<HttpEngineOptions> = {}) {
  const seen: { route: string; body: unknown }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const route = `${request.method} ${request.url}`;
      const text = Buffer.concat(chunks).toString();
      seen.push({ route, body: text === '' ? undefined : (JSON.parse(text) as unknown) });
      const answer = routes[route];
      if (isHandler(answer)) return answer(request, response);
      if (answer === undefined) response.writeHead(404);
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? { message: 'no such route' }));
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const engine = new HttpEngine({ url, dialect: 'vllm', ...options });
  opened.push(
    () => server.close(),
    () => server.closeAllConnections(),
    () => engine.stop(),
  );
  return { engine, seen, url, server };
}

describe('HttpEngine', () => {
  it('says what it is in front of', async () => {
    const { engine, url } = await engineOf({}, { apiKey: 'k', kvAddress: '10.0.0.7:8998' });
    expect(engine.endpoint).toMatchObject({
      origin: url,
      apiKey: 'k',
      dialect: 'vllm',
      kv: { host: '10.0.0.7', ports: [8998] },
    });
    expect(engine.connectors).toEqual([]);
  });

  it('runs a leg', async () => {
    const answer = { choices: [{ index: 0, text: 'a', finish_reason: 'length' }] };
    const { engine, seen } = await engineOf({ 'POST /v1/completions': answer });
    const request = inferenceRequest('completions', { prompt: 'x', unknown: 1 });
    expect(await firstValueFrom(engine.run(request).pipe(wholeAnswer()))).toMatchObject(answer);
    expect(seen).toMatchObject([{ body: { prompt: 'x', unknown: 1 } }]);
  });

  it('lists the models', async () => {
    const data = [{ id: 'm', created: 5, owned_by: 'vllm', max_model_len: 99 }, { id: 'n' }, 7];
    const { engine } = await engineOf({ 'GET /v1/models': { data } });
    expect(await engine.models()).toEqual([
      { id: 'm', created: 5, ownedBy: 'vllm', maxModelTokens: 99 },
      { id: 'n', created: 0, ownedBy: 'unknown' },
    ]);
  });

  describe('health', () => {
    it('asks once for all probes of one moment', async () => {
      const { engine, seen } = await engineOf({ 'GET /health': '' });
      expect(await Promise.all([engine.health(), engine.health()])).toEqual([{ ready: true }, { ready: true }]);
      expect(await engine.health()).toEqual({ ready: true });
      expect(seen).toHaveLength(1);
    });

    it('is not ready when the server says so, and when there is none', async () => {
      const { engine } = await engineOf({
        'GET /health': (_request: IncomingMessage, response: ServerResponse) => response.writeHead(503).end(),
      });
      expect(await engine.health()).toMatchObject({ ready: false, reason: expect.stringContaining('busy') });
      const gone = await engineOf({});
      gone.server.close();
      expect(await gone.engine.health()).toMatchObject({ ready: false, reason: expect.stringContaining('reached') });
    });

    it('is not ready when the server does not answer in time', async () => {
      const { engine } = await engineOf({ 'GET /health': () => undefined }, { healthTimeoutMs: 20 });
      expect(await engine.health()).toMatchObject({ ready: false, reason: expect.stringContaining('in time') });
    });
  });

  describe('metrics', () => {
    const valuesOf = async (engine: HttpEngine): Promise<unknown> =>
      Object.fromEntries((await engine.metrics()).map(({ name, samples }) => [name, samples[0]?.value]));
    const metrics = [
      'vllm:num_requests_waiting{engine="0"} 3',
      'vllm:num_requests_waiting{engine="1"} 4',
      'vllm:num_requests_running{engine="0"} 1',
      'vllm:kv_cache_usage_perc{engine="0"} 0.5',
      'vllm:kv_cache_usage_perc{engine="1"} 0.25',
    ].join('\n');

    it('gives how busy the server says that it is', async () => {
      const { engine } = await engineOf({ 'GET /health': '', 'GET /metrics': metrics });
      expect(await valuesOf(engine)).toEqual({
        engine_up: 1,
        engine_requests_waiting: 7,
        engine_requests_running: 1,
        engine_kv_usage_ratio: 0.375,
      });
    });

    it('does not wait for a server that hangs', async () => {
      const hangs = (): void => undefined;
      const { engine } = await engineOf({ 'GET /health': hangs, 'GET /metrics': hangs });
      const started = performance.now();
      expect(await valuesOf(engine)).toEqual({ engine_up: 0 });
      expect(performance.now() - started).toBeLessThan(4_000);
    });

    it('gives only whether it is up when it tells nothing else', async () => {
      expect(await valuesOf((await engineOf({ 'GET /health': '' })).engine)).toEqual({ engine_up: 1 });
      const { engine } = await engineOf({ 'GET /metrics': 'vllm:num_requests_waiting 1' });
      expect(await valuesOf(engine)).toEqual({ engine_up: 0, engine_requests_waiting: 1 });
      const plain = await engineOf({ 'GET /v1/models': {}, 'GET /metrics': metrics }, { dialect: 'openai' });
      expect(await valuesOf(plain.engine)).toEqual({ engine_up: 1 });
    });
  });

  describe('tokens', () => {
    const cases: [DialectName, Record<string, Answer>, JsonObject, JsonObject, unknown[]][] = [
      [
        'vllm',
        { 'POST /tokenize': { count: 1, max_model_len: 9, tokens: [5] } },
        { prompt: 'a' },
        { count: 1, max_model_len: 9, tokens: [5] },
        [{ prompt: 'a' }],
      ],
      [
        'sglang',
        { 'POST /tokenize': { count: 1, max_model_len: 9, tokens: [5] } },
        { prompt: 'a', add_special_tokens: false },
        { count: 1, max_model_len: 9, tokens: [5] },
        [{ prompt: 'a', add_special_tokens: false }],
      ],
      [
        'llamacpp',
        { 'POST /tokenize': { tokens: [5, 6] }, 'GET /props': { default_generation_settings: { n_ctx: 64 } } },
        { prompt: 'a' },
        { count: 2, max_model_len: 64, tokens: [5, 6] },
        [{ content: 'a', add_special: true, with_pieces: false }],
      ],
      [
        'llamacpp',
        {
          'POST /apply-template': { prompt: '<user>a' },
          'POST /tokenize': {
            tokens: [
              { id: 5, piece: 'a' },
              { id: 6, piece: [0xc3] },
            ],
          },
        },
        { messages: [{ role: 'user', content: 'a' }], return_token_strs: true },
        { count: 2, max_model_len: null, tokens: [5, 6], token_strs: ['a', '\uFFFD'] },
        [
          { messages: [{ role: 'user', content: 'a' }], return_token_strs: true },
          { content: '<user>a', add_special: true, with_pieces: true },
        ],
      ],
    ];
    it.each(cases)('of %s servers', async (dialect, routes, body, expected, sent) => {
      const { engine, seen } = await engineOf(routes, { dialect });
      expect(await engine.tokenize(body)).toEqual(expected);
      expect(seen.filter(({ route }) => route.startsWith('POST')).map((call) => call.body)).toEqual(sent);
    });

    it.each([
      ['vllm', { prompt: 'a' }, { tokens: [5] }],
      ['sglang', { text: 'a' }, { tokens: [5], skip_special_tokens: false }],
      ['llamacpp', { content: 'a' }, { tokens: [5] }],
    ] as const)('to text of %s servers', async (dialect, answer, sent) => {
      const { engine, seen } = await engineOf({ 'POST /detokenize': answer }, { dialect });
      expect(await engine.detokenize({ tokens: [5] })).toEqual({ prompt: 'a' });
      expect(seen).toEqual([{ route: 'POST /detokenize', body: sent }]);
    });

    it('is not supported where there is no tokenizer', async () => {
      const error = { status: 501, code: 'not_supported', message: expect.stringContaining('trtllm') };
      const { engine } = await engineOf({}, { dialect: 'trtllm' });
      await expect(engine.tokenize({ prompt: 'a' })).rejects.toMatchObject(error);
      await expect(engine.detokenize({ tokens: [5] })).rejects.toMatchObject(error);
      const sglang = await engineOf({}, { dialect: 'sglang' });
      await expect(sglang.engine.tokenize({ messages: [] })).rejects.toMatchObject({ status: 501 });
    });
  });

  describe('render and derender', () => {
    const rendered = { token_ids: [5], sampling_params: {} };

    it('are forwarded as they are', async () => {
      const { engine, seen } = await engineOf({
        'POST /v1/chat/completions/render': rendered,
        'POST /v1/completions/render': [rendered, rendered],
        'POST /v1/chat/completions/derender': { choices: [] },
        'POST /v1/completions/derender': { chunk: {} },
      });
      expect(await engine.render('chat', { messages: [] })).toEqual(rendered);
      expect(await engine.render('completions', { prompt: ['a', 'b'] })).toEqual([rendered, rendered]);
      expect(await engine.derender('chat', { generate_response: {} })).toEqual({ choices: [] });
      expect(await engine.derender('completions', { stream: true })).toEqual({ chunk: {} });
      expect(seen.map(({ body }) => body)).toEqual([
        { messages: [] },
        { prompt: ['a', 'b'] },
        { generate_response: {} },
        { stream: true },
      ]);
    });

    it.each([['{'], ['7'], ['[7]']])('refuse the answer %s', async (answer) => {
      const { engine } = await engineOf({ 'POST /v1/completions/render': answer });
      await expect(engine.render('completions', {})).rejects.toMatchObject({
        status: 502,
        code: 'bad_upstream_answer',
      });
    });

    it('are not supported by other servers, which are not asked', async () => {
      const { engine, seen } = await engineOf({}, { dialect: 'sglang' });
      const error = { status: 501, code: 'not_supported', message: expect.stringContaining('sglang') };
      await expect(engine.render('chat', {})).rejects.toMatchObject(error);
      await expect(engine.derender('chat', {})).rejects.toMatchObject(error);
      expect(seen).toEqual([]);
    });
  });
});
