import type { Engine, TextApi } from '@baton/engines';
import {
  bytesPart,
  InferenceError,
  jsonPart,
  sseEvent,
  SSE_DONE,
  type InferenceRequest,
  type JsonObject,
} from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { EMPTY, NEVER, of, throwError, type Observable } from 'rxjs';
import { createInstance } from './bootstrap.js';
import { loadConfig } from './config/load-config.js';
import { DrainService } from './lifecycle/drain.service.js';

const FAILURES: Readonly<Record<string, unknown>> = {
  busy: new InferenceError('Busy.', { status: 503, code: 'overloaded', retryAfterSeconds: 1.5 }),
  broken: new Error('connect ECONNREFUSED 10.0.0.7:5432'),
  unreachable: new RemoteUnavailableError('10.0.0.7:8200', 'failed', new Error('secret'), 500),
};

/** Answers at once, or fails as the prompt says. */
class FakeEngine implements Engine {
  readonly calls: InferenceRequest[] = [];
  #begin = (): void => undefined;
  /** Resolves when the prompt `endless` is being answered. */
  readonly endless = new Promise<void>((resolve) => (this.#begin = resolve));
  isReady = true;
  start = async (): Promise<void> => undefined;
  stop = async (): Promise<void> => undefined;
  check = (): void => undefined;

  run(request: InferenceRequest): Observable<ReturnType<typeof jsonPart> | ReturnType<typeof bytesPart>> {
    this.calls.push(request);
    const failure = FAILURES[String(request.body['prompt'])];
    if (failure !== undefined) return throwError(() => failure);
    if (request.body['prompt'] === 'endless') {
      this.#begin();
      return NEVER;
    }
    if (request.stream) return of(bytesPart(sseEvent({ id: request.id })), bytesPart(SSE_DONE));
    return request.body['prompt'] === 'nothing' ? EMPTY : of(jsonPart({ id: request.id }));
  }

  models = async () => [{ id: 'org/model', created: 7, ownedBy: 'us', maxModelTokens: 64 }];
  tokenize = async () => ({ count: 1, max_model_len: 64, tokens: [5] });
  detokenize = async () => ({ prompt: 'a' });
  connectors = ['embedded'];
  readonly rendered: unknown[] = [];

  async render(api: TextApi, body: JsonObject): Promise<JsonObject | JsonObject[]> {
    this.rendered.push({ api, body });
    const call = { token_ids: [1], sampling_params: {} };
    return api === 'completions' ? [call] : call;
  }

  async derender(api: TextApi, body: JsonObject): Promise<JsonObject> {
    if (body['stream'] === true) {
      throw new InferenceError('This engine cannot derender.', { status: 501, code: 'not_supported' });
    }
    return { object: api };
  }
  health = async () => (this.isReady ? { ready: true } : { ready: false, reason: 'It is tired.' });
  metrics = async () => [
    {
      name: 'handoffs_open',
      help: 'Open.',
      type: 'gauge' as const,
      samples: [{ labels: { side: 'engine' }, value: 3 }],
    },
    { name: 'work_total', help: 'Work.', type: 'counter' as const, samples: [{ value: 5 }] },
  ];
}

// A short wait for clients that do not take the end of an answer: an injected request has no socket to say that it did.
const NO_PLUGINS = { BATON_PLUGIN_DIRECTORIES: '' };
const config = loadConfig({ env: { ...NO_PLUGINS, BATON_SERVER_STALL_TIMEOUT_MS: '100' } });

it('warns at start, once, of a side channel that the decode instance cannot reach', async () => {
  const lines: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
  const env = {
    ...NO_PLUGINS,
    BATON_COORDINATION_CONNECTOR: 'embedded',
    BATON_COORDINATION_DECODE_ENDPOINTS: 'http://10.0.0.7:8200',
    BATON_COORDINATION_DECODE_API_KEY: 'k'.repeat(32),
    BATON_SECURITY_PEER_KEYS: `fleet:${'k'.repeat(32)}`,
  };
  const app = await createInstance(loadConfig({ env }), { engine: new FakeEngine(), logger });
  await app.close();
  expect(lines).toEqual([expect.stringContaining('http://10.0.0.7:8200 cannot pull KV from 127.0.0.1')]);
});

it('writes one line of a failure, with nothing that an upstream said', async () => {
  const lines: string[] = [];
  const logger = pino({ base: undefined, timestamp: false }, { write: (line: string) => void lines.push(line) });
  const env = { BATON_COORDINATION_CONNECTOR: 'nixl', BATON_COORDINATION_DECODE_ENDPOINTS: 'http://127.0.0.1:1' };
  const app = await createInstance(
    loadConfig({ env: { ...NO_PLUGINS, ...env, BATON_SERVER_STALL_TIMEOUT_MS: '100' } }),
    {
      engine: new FakeEngine(),
      logger,
    },
  );
  await app.init();
  lines.length = 0;
  const payload = { prompt: 'unreachable', n: 2 };
  const answer = await app.inject({
    ...{ method: 'POST', url: '/v1/completions', payload },
    headers: { 'x-request-id': 'mine-3' },
  });
  await app.close();
  expect(answer.statusCode).toBe(502);
  const warnings = lines.map((line) => JSON.parse(line) as { level: number }).filter(({ level }) => level >= 40);
  expect(warnings).toEqual([
    {
      ...{ level: 40, msg: 'A request or a leg of it failed', requestId: 'mine-3', caller: 'anonymous' },
      ...{ code: 'remote_failed', status: 502, endpoint: '10.0.0.7:8200', upstreamStatus: 500 },
    },
  ]);
});

it('gives the digits of what its engine server answers, also outside of inference', async () => {
  const text = '{"token_ids":[1],"sampling_params":{"seed":9223372036854775807}}';
  const server = createServer((_request, response) => response.end(text));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const env = {
    ...NO_PLUGINS,
    BATON_ENGINE_KIND: 'http',
    BATON_ENGINE_DIALECT: 'vllm',
    BATON_ENGINE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  };
  const app = await createInstance(loadConfig({ env }), { logger: pino({ level: 'silent' }) });
  try {
    await app.init();
    const payload = { messages: [{ role: 'user', content: 'a' }] };
    const answer = await app.inject({ method: 'POST', url: '/v1/chat/completions/render', payload });
    expect(answer.statusCode).toBe(200);
    expect(answer.body).toBe(text);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  } finally {
    await app.close();
    server.closeAllConnections();
    server.close();
  }
});

describe('an instance', () => {
  let engine: FakeEngine;
  let app: NestFastifyApplication;

  beforeEach(async () => {
    engine = new FakeEngine();
    app = await createInstance(config, { engine, logger: pino({ level: 'silent' }) });
    await app.init();
  });

  afterEach(() => app.close());

  const get = (url: string) => app.inject({ method: 'GET', url });
  const post = (url: string, payload: object, headers: Record<string, string> = {}) =>
    app.inject({ method: 'POST', url, payload, headers });

  it.each([
    ['/v1/completions', { prompt: 'a' }, 'completions'],
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'a' }] }, 'chat'],
    ['/inference/v1/generate', { token_ids: [1], sampling_params: {} }, 'generate'],
    ['/v1/inference/generate', { token_ids: [1], sampling_params: {} }, 'generate'],
  ])('%s runs its body on the engine, whole and streamed', async (url, body, api) => {
    const whole = await post(url, { ...body, extra: 1 }, { 'x-request-id': 'mine-1' });
    expect(whole.statusCode).toBe(200);
    expect(whole.json()).toEqual({ id: 'mine-1' });
    expect(whole.headers).toMatchObject({ 'x-request-id': 'mine-1', 'x-baton-manager': 'local' });
    expect(engine.calls[0]).toMatchObject({ api, body: { ...body, extra: 1 }, stream: false });
    const streamed = await post(url, { ...body, stream: true });
    expect(streamed.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(streamed.body).toBe(`data: {"id":"${String(streamed.headers['x-request-id'])}"}\n\ndata: [DONE]\n\n`);
  });

  it.each([
    ['POST', '/v1/completions', '{"prompt":""}', 400, 'prompt', null],
    ['POST', '/v1/completions', '{', 400, null, 'invalid_json'],
    ['POST', '/v1/completions', '', 400, null, 'empty_body'],
    ['POST', '/v1/completions', '{"__proto__":1}', 400, null, 'forbidden_key'],
    ['POST', '/v1/completions', '{"prompt":"busy"}', 503, null, 'overloaded'],
    ['POST', '/v1/completions', '{"prompt":"busy","stream":true}', 503, null, 'overloaded'],
    ['POST', '/v1/completions', '{"prompt":"broken"}', 500, null, 'internal_error'],
    ['POST', '/tokenize', '{}', 400, 'prompt', 'missing_required_parameter'],
    ['GET', '/v1/completions', undefined, 405, null, 'method_not_allowed'],
    ['GET', '/nowhere', undefined, 404, null, 'not_found'],
    ['GET', '/%zz', undefined, 400, null, 'invalid_url'],
    ['GET', '/v1/models/nothing', undefined, 404, 'model', 'model_not_found'],
  ] as const)('%s %s %s fails with %i in the OpenAI shape', async (method, url, payload, status, param, code) => {
    const headers = payload === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await app.inject({ method, url, payload, headers });
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toEqual({
      error: { message: expect.any(String), type: expect.any(String), param, code },
    });
    expect(answer.body).not.toContain('10.0.0.7');
    expect(answer.headers).toMatchObject({ 'x-request-id': expect.any(String), 'x-baton-manager': 'local' });
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(answer.headers['retry-after']).toBe(code === 'overloaded' ? '2' : undefined);
  });

  it('refuses bodies that are too large or no JSON', async () => {
    const large = { 'content-type': 'application/json', 'content-length': String(64 * 1024 * 1024 + 1) };
    const tooLarge = await app.inject({ method: 'POST', url: '/v1/completions', payload: '{}', headers: large });
    expect([tooLarge.statusCode, tooLarge.json()]).toMatchObject([413, { error: { code: 'request_too_large' } }]);
    const text = { 'content-type': 'text/plain' };
    const noJson = await app.inject({ method: 'POST', url: '/v1/completions', payload: 'a', headers: text });
    expect([noJson.statusCode, noJson.json()]).toMatchObject([415, { error: { code: 'unsupported_media_type' } }]);
  });

  it.each([
    ['/v1/completions/render', { prompt: 'a', stream: true }, [{ token_ids: [1], sampling_params: {} }]],
    [
      '/v1/chat/completions/render',
      { messages: [{ role: 'user', content: 'a' }], other: 1 },
      { token_ids: [1], sampling_params: {} },
    ],
    ['/v1/completions/derender', { generate_responses: [{}] }, { object: 'completions' }],
    ['/v1/chat/completions/derender', { generate_response: {} }, { object: 'chat' }],
  ])('%s has its engine turn %j into %j', async (url, body, answer) => {
    const response = await post(url, body);
    expect([response.statusCode, response.json()]).toEqual([200, answer]);
    if (url.endsWith('/render')) expect(engine.rendered).toMatchObject([{ body }]);
  });

  it('says so when its engine cannot do what is asked', async () => {
    const response = await post('/v1/chat/completions/derender', { stream: true, generate_chunk: {} });
    expect([response.statusCode, response.json()]).toMatchObject([501, { error: { code: 'not_supported' } }]);
  });

  it.each(['/inference/v1/abort_requests', '/abort_requests'])('%s takes ids, known or not', async (url) => {
    const ended = await post(url, { request_ids: ['nobody'] });
    expect([ended.statusCode, ended.body]).toEqual([200, '']);
    const refused = await post(url, {});
    expect([refused.statusCode, refused.json()]).toMatchObject([400, { error: { param: 'request_ids' } }]);
  });

  it('ends a request by the id that its client sent', async () => {
    const under = post('/v1/completions', { prompt: 'endless' }, { 'x-request-id': 'mine-2' });
    await engine.endless;
    expect((await post('/abort_requests', { request_ids: ['mine-2'] })).statusCode).toBe(200);
    expect((await under).json()).toMatchObject({ error: { code: 'request_aborted' } });
  });

  it('says what it is', async () => {
    expect((await get('/baton/v1/info')).json()).toEqual({
      name: 'baton',
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      engine: 'embedded',
      connectors: ['embedded'],
    });
  });

  it('lists models, also those with a slash in their name', async () => {
    const model = { id: 'org/model', object: 'model', created: 7, owned_by: 'us', max_model_len: 64 };
    expect((await get('/v1/models')).json()).toEqual({ object: 'list', data: [model] });
    expect((await get('/v1/models/org%2Fmodel')).json()).toEqual(model);
  });

  it('is ready when its engine is, and never while it drains', async () => {
    expect((await get('/health/live')).json()).toEqual({ status: 'live' });
    expect((await get('/health/ready')).statusCode).toBe(200);
    engine.isReady = false;
    const tired = await get('/health/ready');
    expect([tired.statusCode, tired.json()]).toEqual([503, { status: 'not_ready', reason: 'It is tired.' }]);
    engine.isReady = true;
    await app.get(DrainService).begin();
    expect((await get('/health/ready')).statusCode).toBe(503);
    const refused = await post('/v1/completions', { prompt: 'a' });
    expect(refused.statusCode).toBe(503);
    expect(refused.headers['retry-after']).toBe('1');
  });

  it('shows metrics of engine, ledger and requests together', async () => {
    await post('/v1/completions', { prompt: 'a' });
    await get('/metrics');
    const { body, headers } = await get('/metrics');
    expect(headers['content-type']).toContain('text/plain; version=0.0.4');
    const lines = body.split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'baton_handoffs_open{side="engine"} 3',
        'baton_handoffs_open{side="ledger"} 0',
        'baton_work_total 5',
        'baton_dispatched_total{manager="prefill-local-decode-remote"} 0',
        'baton_inflight_requests 0',
        'baton_prefill_retries_total{reason="connect"} 0',
        'baton_decode_retries_total{reason="connect"} 0',
        'baton_no_handoff_total 0',
        'baton_answered_by_prefill_total 0',
        'baton_stream_end_total{reason="upstream_truncated"} 0',
        'baton_stream_end_total{reason="aborted"} 0',
        'baton_requests_started_total{api="completions"} 1',
        'baton_stream_end_total{reason="complete"} 1',
        'baton_http_request_duration_seconds_count{route="/v1/completions",method="POST",status="200"} 1',
      ]),
    );
  });

  it('serves its document and a page that needs no other host', async () => {
    const document = (await get('/openapi.json')).json<{ openapi: string; paths: Record<string, unknown> }>();
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(['/v1/completions', '/v1/models/{id}', '/health/ready', '/metrics', '/docs']),
    );
    const page = await get('/docs');
    expect(page.body).toContain('swagger-ui');
    expect(page.body).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect((await get('/docs/swagger-ui-bundle.js')).statusCode).toBe(200);
  });
});
