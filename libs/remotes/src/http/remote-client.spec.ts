import { FlowValve, inferenceRequest, sseEvent, SSE_DONE, type ResponsePart } from '@baton/inference';
import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { filter, firstValueFrom, lastValueFrom, tap, toArray, type Observable, type Subscription } from 'rxjs';
import { parseEndpoint, type Endpoint } from '../endpoint.js';
import { RemoteUnavailableError } from '../remote-unavailable.error.js';
import { RemoteClient, type RemoteClientOptions } from './remote-client.js';

/** A server of this test, and what it saw. */
interface Upstream {
  readonly server: Server;
  readonly endpoint: Endpoint;
  readonly sockets: Set<Socket>;
  readonly seen: string[];
}

const opened: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function upstream(handler: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<Upstream> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    void handler(request, response);
  });
  server.on('connection', (socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    server,
    seen,
    sockets,
    endpoint: parseEndpoint(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
  };
}

function client(options?: RemoteClientOptions): RemoteClient {
  const made = new RemoteClient(options);
  opened.push(() => made.close());
  return made;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const bytesOf = (parts: readonly ResponsePart[]): Buffer =>
  Buffer.concat(parts.map((part) => (part.kind === 'bytes' ? part.bytes : Buffer.from('not bytes'))));

/** What came before the end, and the end. */
function outcome(parts: Observable<ResponsePart>): Promise<{ parts: ResponsePart[]; error?: unknown }> {
  return new Promise((resolve) => {
    const got: ResponsePart[] = [];
    parts.subscribe({
      next: (part) => got.push(part),
      error: (error: unknown) => resolve({ parts: got, error }),
      complete: () => resolve({ parts: got }),
    });
  });
}

/** Waits for what comes over a socket; bounded, so that a failure is told rather than waited for. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 4_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`It did not come about: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** An answer of which every choice has ended; its spacing is its own. */
const WHOLE = '{"choices": [{"index":0,"text":"x","finish_reason":"stop"}], "odd": 12345678901234567890}';
const FINISH = sseEvent({ choices: [{ index: 0, finish_reason: 'stop' }] });

const json = inferenceRequest('completions', { prompt: 'x' });
const streamed = inferenceRequest('chat', { messages: [], stream: true });

describe('RemoteClient.run', () => {
  it('posts the leg with its id, its headers and the leg mark, and gives the JSON answer as it came', async () => {
    const got: { headers?: IncomingMessage['headers']; body?: string } = {};
    const { endpoint, seen } = await upstream(async (request, response) => {
      got.headers = request.headers;
      got.body = await bodyOf(request);
      response.setHeader('content-type', 'application/json');
      response.write(WHOLE.slice(0, 12));
      response.end(WHOLE.slice(12));
    });
    const leg = inferenceRequest(
      'generate',
      { token_ids: [1, 2], odd: { kept: true } },
      { id: 'leg-1', headers: { traceparent: 'tp' }, isLeg: true },
    );
    const parts = await lastValueFrom(client().run(endpoint, leg).pipe(toArray()));
    expect(parts).toHaveLength(1);
    expect(bytesOf(parts).toString()).toBe(WHOLE);
    expect(seen).toEqual(['POST /inference/v1/generate']);
    expect(JSON.parse(got.body ?? '')).toEqual(leg.body);
    expect(got.headers).toMatchObject({
      'content-type': 'application/json',
      accept: 'application/json',
      'x-request-id': 'leg-1',
      'x-baton-leg': expect.any(String),
      traceparent: 'tp',
    });
    expect(got.headers).not.toHaveProperty('authorization');
  });

  it('sends no id that a client chose for its own request: each run has a fresh one', async () => {
    const ids: unknown[] = [];
    const { endpoint } = await upstream((request, response) => {
      ids.push(request.headers['x-request-id']);
      response.end(WHOLE);
    });
    const request = inferenceRequest('completions', { prompt: 'x' }, { id: 'of-the-client' });
    const remotes = client();
    for (let run = 0; run < 2; run++) await lastValueFrom(remotes.run(endpoint, request));
    for (const id of ids) expect(id).toMatch(new RegExp(`^${request.key}-[0-9a-f]{8}$`));
    expect(new Set(ids).size).toBe(2);
  });

  it('sends the key of the endpoint, and no other', async () => {
    const keys: unknown[] = [];
    const { endpoint } = await upstream((request, response) => {
      keys.push(request.headers.authorization);
      response.end(WHOLE);
    });
    const remotes = client();
    const smuggled = inferenceRequest('completions', {}, { headers: { authorization: 'Bearer of the client' } });
    await lastValueFrom(remotes.run({ ...endpoint, apiKey: 'k1' }, smuggled));
    expect(keys).toEqual(['Bearer k1']);
  });

  it.each([
    ['completions', '/v1/completions'],
    ['chat', '/v1/chat/completions'],
    ['generate', '/inference/v1/generate'],
  ] as const)('sends %s to %s', async (api, path) => {
    const { endpoint, seen } = await upstream((_request, response) => response.end(WHOLE));
    await lastValueFrom(client().run(endpoint, inferenceRequest(api, {})));
    expect(seen).toEqual([`POST ${path}`]);
  });

  it('is cold, and sends anew for each subscription', async () => {
    const { endpoint, seen } = await upstream((_request, response) => response.end(WHOLE));
    const answer = client().run(endpoint, json);
    expect(seen).toEqual([]);
    await lastValueFrom(answer);
    await lastValueFrom(answer);
    expect(seen).toHaveLength(2);
  });

  it('gives a stream in whole events, with the same bytes', async () => {
    const whole = Buffer.concat([sseEvent({ text: 'Ünïcode 🦊' }), FINISH, SSE_DONE]);
    const { endpoint } = await upstream(async (request, response) => {
      expect(request.headers.accept).toBe('text/event-stream');
      response.setHeader('content-type', 'text/event-stream; charset=utf-8');
      for (const byte of whole) {
        response.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      response.end();
    });
    const parts = await lastValueFrom(client().run(endpoint, streamed).pipe(toArray()));
    expect(bytesOf(parts)).toEqual(whole);
    for (const part of parts) expect(bytesOf([part]).toString()).toMatch(/^data: .*\n\n$/s);
  });

  it('reads past informational answers', async () => {
    const { endpoint } = await upstream((_request, response) => {
      response.writeProcessing();
      response.writeEarlyHints({ link: '</x>; rel=preload' }, () => response.end(WHOLE));
    });
    expect(bytesOf([await lastValueFrom(client().run(endpoint, json))]).toString()).toBe(WHOLE);
  });
});

describe('a stream whose end mark has come', () => {
  const LAST = Buffer.concat([FINISH, SSE_DONE]);
  const head = (response: ServerResponse): ServerResponse => response.setHeader('content-type', 'text/event-stream');

  it('is complete, and its connection is closed when the upstream keeps it open', async () => {
    let left: Promise<unknown> | undefined;
    const { endpoint } = await upstream((_request, response) => {
      left = once(response, 'close');
      head(response).write(LAST);
    });
    const { parts, error } = await outcome(client().run(endpoint, streamed));
    expect(error).toBeUndefined();
    expect(bytesOf(parts)).toEqual(LAST);
    await left;
  });

  it('is complete, although the connection is reset or says more', async () => {
    const { endpoint } = await upstream((_request, response) => {
      head(response).write(LAST, () => {
        response.write('data: {"error":{"message":"no"}}\n\n', () =>
          setImmediate(() => response.socket?.resetAndDestroy()),
        );
      });
    });
    const { parts, error } = await outcome(client().run(endpoint, streamed));
    expect(error).toBeUndefined();
    expect(bytesOf(parts)).toEqual(LAST);
  });

  /** The ways in which the client's side may be done with it. */
  const LEAVES: [string, (answer: Observable<ResponsePart>, valve: FlowValve) => Promise<unknown>][] = [
    ['waits for its completion', (answer) => lastValueFrom(answer)],
    ['leaves at the mark', (answer) => firstValueFrom(answer.pipe(filter((part) => bytesOf([part]).includes('DONE'))))],
    ['takes no more behind the mark', (answer, valve) => lastValueFrom(answer.pipe(tap(() => valve.close())))],
    [
      'leaves at its completion',
      (answer) =>
        new Promise<void>((resolve, reject) => {
          const subscription = answer.subscribe({
            error: reject,
            complete: () => queueMicrotask(() => resolve(subscription.unsubscribe())),
          });
        }),
    ],
  ];

  it.each(LEAVES.flatMap(([way, leave]) => [0, 20].map((ms) => [way, ms, leave] as const)))(
    'leaves a connection that is used again when the client %s and the upstream ends within %d ms',
    async (_way, ms, leave) => {
      const used: Socket[] = [];
      const { endpoint } = await upstream((request, response) => {
        used.push(request.socket);
        if (request.method === 'GET') response.end('{}');
        else if (ms === 0) head(response).end(LAST);
        else head(response).write(LAST, () => setTimeout(() => response.end(), ms));
      });
      const remotes = client();
      const valve = new FlowValve();
      await leave(remotes.run(endpoint, { ...streamed, valve }), valve);
      const [first] = used;
      // When the end arrives here shows in nothing but this.
      const deadline = Date.now() + 500;
      do {
        await lastValueFrom(remotes.call(endpoint, { method: 'GET', path: '/' }));
      } while (used.at(-1) !== first && Date.now() < deadline);
      expect(used.at(-1) === first).toBe(true);
    },
  );

  it('does not delay the closing of the client', async () => {
    const { endpoint, sockets } = await upstream((_request, response) => head(response).write(LAST));
    const remotes = client();
    await lastValueFrom(remotes.run(endpoint, streamed));
    const began = performance.now();
    await remotes.close();
    await until(() => sockets.size === 0);
    expect(performance.now() - began).toBeLessThan(800);
  });
});

describe('an answer that breaks off', () => {
  it('fails when the stream ends without its end mark, after every whole event', async () => {
    const { endpoint } = await upstream((_request, response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.end('data: {"n":1}\n\ndata: {"n":');
    });
    const { parts, error } = await outcome(client().run(endpoint, streamed));
    expect(bytesOf(parts).toString()).toBe('data: {"n":1}\n\n');
    expect(error).toMatchObject({ status: 502, code: 'upstream_truncated' });
  });

  it('fails as lost when the connection is reset inside an event', async () => {
    const { endpoint } = await upstream((_request, response) => {
      response.setHeader('content-type', 'text/event-stream');
      response.write('data: {"n":1}\n\ndata: {"n":', () => setImmediate(() => response.socket?.resetAndDestroy()));
    });
    const { parts, error } = await outcome(client().run(endpoint, streamed));
    expect(bytesOf(parts).toString()).toBe('data: {"n":1}\n\n');
    expect(error).toBeInstanceOf(RemoteUnavailableError);
    expect(error).toMatchObject({ reason: 'reset', status: 502, code: 'remote_reset', endpoint: endpoint.name });
  });

  it('fails as lost when the connection is closed before the head', async () => {
    const { endpoint } = await upstream((request) => request.socket.destroy());
    expect((await outcome(client().run(endpoint, json))).error).toMatchObject({ reason: 'reset', status: 502 });
  });

  it('fails as lost when a JSON answer is shorter than it said', async () => {
    const { endpoint } = await upstream((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"a":', () => setImmediate(() => response.socket?.destroy()));
    });
    expect(await outcome(client().run(endpoint, json))).toMatchObject({ parts: [], error: { reason: 'reset' } });
  });

  it('says that nobody listens', async () => {
    const { endpoint, server } = await upstream(() => undefined);
    server.close();
    const { error } = await outcome(client().run(endpoint, json));
    expect(error).toBeInstanceOf(RemoteUnavailableError);
    expect(error).toMatchObject({ reason: 'connect', status: 502, code: 'remote_connect' });
  });

  it.each([
    ['a page', '<html></html>', 'bad_upstream_answer'],
    ['nothing', '', 'bad_upstream_answer'],
    ['JSON cut short', '{"id":"x","choices":[{"te', 'bad_upstream_answer'],
    ['no choices', '{"id":"x"}', 'bad_upstream_answer'],
    ['a list', '[]', 'bad_upstream_answer'],
    ['an error', '{"error":{"message":"no"}}', 'upstream_error_event'],
    ['a flat error', '{"object":"error","message":"no"}', 'upstream_error_event'],
    ['an abort', '{"choices":[{"index":0,"finish_reason":"abort"}]}', 'upstream_aborted'],
    ['an unfinished choice', '{"choices":[{"index":0,"finish_reason":null}]}', 'upstream_incomplete'],
    ['too few choices', '{"choices":[]}', 'upstream_incomplete'],
  ])('does not take %s with status 200 for an answer', async (_what, body, code) => {
    const { endpoint } = await upstream((_request, response) => response.end(body));
    expect(await outcome(client().run(endpoint, json))).toMatchObject({
      parts: [],
      error: { status: 502, code },
    });
  });

  it('says that the head took too long, and leaves', async () => {
    const left: Promise<unknown>[] = [];
    const { endpoint } = await upstream((_request, response) => left.push(once(response, 'close')));
    // The head of an answer that is not streamed comes with its last token: it has a bound of its own.
    const impatient = client({ headTimeoutMs: 50, answerTimeoutMs: 50 });
    for (const leg of [json, streamed]) {
      expect(await outcome(impatient.run(endpoint, leg))).toMatchObject({ error: { reason: 'timeout', status: 504 } });
    }
    await Promise.all(left);
  });

  it('says that the stream stood still for too long, and leaves', async () => {
    const left: Promise<unknown>[] = [];
    const { endpoint } = await upstream((_request, response) => {
      left.push(once(response, 'close'));
      response.setHeader('content-type', 'text/event-stream');
      response.write('data: 1\n\n');
    });
    const { parts, error } = await outcome(client({ idleTimeoutMs: 50 }).run(endpoint, streamed));
    expect(parts).toHaveLength(1);
    expect(error).toMatchObject({ reason: 'timeout', status: 504 });
    await Promise.all(left);
  });

  it('takes an event of 4 MiB, unless it is told otherwise', async () => {
    const event = (length: number): string => `data: ${'x'.repeat(length - 8)}\n\n`;
    const { endpoint } = await upstream(async (request, response) => {
      const length = (await bodyOf(request)).includes('long') ? 5 * 1024 * 1024 : 4 * 1024 * 1024;
      response.setHeader('content-type', 'text/event-stream');
      response.end(Buffer.concat([Buffer.from(event(length)), FINISH, SSE_DONE]));
    });
    const remotes = client();
    expect(await outcome(remotes.run(endpoint, streamed))).not.toHaveProperty('error');
    const long = inferenceRequest('chat', { long: true, stream: true });
    expect(await outcome(remotes.run(endpoint, long))).toMatchObject({ error: { code: 'bad_upstream_answer' } });
  });

  it('refuses more than its bounds, and leaves', async () => {
    const left: Promise<unknown>[] = [];
    const { endpoint } = await upstream((request, response) => {
      left.push(once(response, 'close'));
      if (request.headers.accept === 'text/event-stream') response.setHeader('content-type', 'text/event-stream');
      response.write(`data: ${'x'.repeat(2_000)}`);
    });
    const remotes = client({ maxAnswerBytes: 1_000, maxEventBytes: 1_000 });
    expect(await outcome(remotes.run(endpoint, json))).toMatchObject({
      parts: [],
      error: { status: 502, code: 'bad_upstream_answer' },
    });
    expect(await outcome(remotes.run(endpoint, streamed))).toMatchObject({ parts: [], error: { status: 502 } });
    expect(left).toHaveLength(2);
    await Promise.all(left);
  });
});

describe('a status', () => {
  const answered = async (status: number, body: string, headers: Record<string, string> = {}): Promise<unknown> => {
    const { endpoint } = await upstream((_request, response) => response.writeHead(status, headers).end(body));
    const { parts, error } = await outcome(client().run(endpoint, streamed));
    expect(parts).toEqual([]);
    return error;
  };

  it.each([400, 404, 412, 413, 422])(
    'of %d with an error body is the fault of the request, in the words of the upstream',
    async (status) => {
      const said = {
        message: 'max_tokens is too large',
        type: 'BadRequestError',
        param: 'max_tokens',
        code: 'too_large',
      };
      const error = await answered(status, JSON.stringify({ error: said }));
      expect(error).not.toBeInstanceOf(RemoteUnavailableError);
      expect(error).toMatchObject({ status, ...said });
    },
  );

  it('keeps its class when a flat body has a number for a code', async () => {
    const body = JSON.stringify({ object: 'error', message: 'No.', type: 'BadRequestError', param: null, code: 400 });
    expect(await answered(400, body)).toMatchObject({ status: 400, message: 'No.', param: null, code: null });
  });

  it.each([
    ['no error body', 404, 'upstream proxy says no', 'remote_refused'],
    ['a wrong key', 401, '{"error":{"message":"Invalid key sk-secret"}}', 'remote_refused'],
    ['a lack of rights', 403, '{"error":{"message":"no"}}', 'remote_refused'],
  ])('for %s is the fault of this side: %d becomes 502', async (_what, status, body, code) => {
    const error = await answered(status, body);
    expect(error).toMatchObject({ status: 502, code });
    expect((error as Error).message).not.toContain('sk-secret');
  });

  it.each([400, 409, 412, 413, 422])(
    'of %d without an error body keeps its status, but not its words',
    async (status) => {
      const error = await answered(status, 'upstream proxy says no');
      expect(error).toMatchObject({ status, code: 'remote_refused', type: 'invalid_request_error' });
      expect((error as Error).message).not.toContain('proxy');
    },
  );

  it('of 501 is for the client to know', async () => {
    const error = await answered(501, '{"error":{"message":"no such thing in /srv/engine"}}');
    expect(error).not.toBeInstanceOf(RemoteUnavailableError);
    expect(error).toMatchObject({ status: 501, code: 'not_supported' });
    expect((error as Error).message).not.toContain('/srv');
  });

  it.each([429, 503])('of %d means busy', async (status) => {
    const error = await answered(status, '{"error":{"message":"queue full"}}');
    expect(error).toBeInstanceOf(RemoteUnavailableError);
    expect(error).toMatchObject({ reason: 'busy', status: 503, code: 'remote_busy' });
    expect((error as Error).message).not.toContain('queue full');
  });

  it('of an instance that is about to stop means that the leg was not looked at', async () => {
    const error = await answered(503, '{"error":{"message":"later","code":"shutting_down"}}');
    expect(error).toMatchObject({ reason: 'busy', isUntouched: true });
    expect(await answered(503, '{"error":{"message":"queue full"}}')).toMatchObject({ isUntouched: false });
  });

  it.each([500, 502, 504])('of %d means failed', async (status) => {
    expect(await answered(status, 'trace: secret')).toMatchObject({
      reason: 'failed',
      status: 502,
      code: 'remote_failed',
    });
  });

  it('that redirects is not followed', async () => {
    const { endpoint, seen } = await upstream((_request, response) =>
      response.writeHead(307, { location: '/elsewhere' }).end(),
    );
    expect((await outcome(client().run(endpoint, json))).error).toMatchObject({ status: 502, code: 'remote_refused' });
    expect(seen).toEqual(['POST /v1/completions']);
  });

  it('of 200 without an event stream is not a stream', async () => {
    expect(await answered(200, '{"choices":[]}', { 'content-type': 'application/json' })).toMatchObject({
      status: 502,
      code: 'bad_upstream_answer',
    });
  });
});

describe('unsubscribing', () => {
  it('before the connection is there sends nothing', async () => {
    const { endpoint, seen } = await upstream((_request, response) => response.end(WHOLE));
    const remotes = client();
    remotes.run(endpoint, json).subscribe().unsubscribe();
    await lastValueFrom(remotes.run(endpoint, inferenceRequest('chat', {})));
    expect(seen).toEqual(['POST /v1/chat/completions']);
  });

  it('while waiting for the head is noticed by the upstream', async () => {
    let subscription: Subscription | undefined;
    const left = new Promise<void>((resolve) => {
      void upstream((_request, response) => {
        response.once('close', resolve);
        subscription?.unsubscribe();
      }).then(({ endpoint }) => {
        subscription = client()
          .run(endpoint, json)
          .subscribe({ error: () => undefined });
      });
    });
    await left;
  });

  it('mid-stream is noticed by the upstream, emits nothing more, and leaves no socket behind', async () => {
    const { endpoint, sockets } = await upstream((_request, response) => {
      response.setHeader('content-type', 'text/event-stream');
      const timer = setInterval(() => response.write('data: 1\n\n'), 1);
      response.once('close', () => clearInterval(timer));
    });
    const remotes = client();
    for (let round = 0; round < 5; round++) {
      let count = 0;
      await new Promise<void>((resolve, reject) => {
        const subscription = remotes.run(endpoint, streamed).subscribe({
          next: () => {
            if (++count < 3) return;
            subscription.unsubscribe();
            resolve();
          },
          error: reject,
        });
      });
      await until(() => sockets.size === 0);
      expect(count).toBe(3);
    }
  });

  it('twice is safe, and so is unsubscribing what is complete', async () => {
    const { endpoint, sockets } = await upstream((_request, response) => response.end(WHOLE));
    const remotes = client();
    const answer = remotes.run(endpoint, json);
    let complete: () => void = () => undefined;
    const completed = new Promise<void>((resolve) => (complete = resolve));
    const subscription = answer.subscribe({ complete });
    await completed;
    const [socket] = sockets;
    subscription.unsubscribe();
    subscription.unsubscribe();
    await lastValueFrom(answer);
    expect(socket?.destroyed).toBe(false);
  });
});

describe('back-pressure', () => {
  const EVENT = Buffer.from(`data: ${'x'.repeat(65_536 - 8)}\n\n`);
  const EVENTS = 512; // 32 MiB: far more than the sockets hold

  /** Writes as fast as it is read. */
  const flood =
    (state: { written: number; isBlocked: boolean }) => async (_request: IncomingMessage, response: ServerResponse) => {
      response.setHeader('content-type', 'text/event-stream');
      for (; state.written < EVENTS; state.written++) {
        if (response.write(EVENT)) continue;
        state.isBlocked = true;
        await once(response, 'drain');
        state.isBlocked = false;
      }
      response.end(Buffer.concat([FINISH, SSE_DONE]));
    };

  /** Until the upstream's write() is refused and stays refused: what is under way fills the sockets, and no more. */
  async function untilStuck(state: { written: number; isBlocked: boolean }): Promise<void> {
    for (let before = -1; before !== state.written || !state.isBlocked;) {
      before = state.written;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it('reads no more while the valve is closed, and goes on where it was', async () => {
    const state = { written: 0, isBlocked: false };
    const { endpoint } = await upstream(flood(state));
    const valve = new FlowValve();
    const leg = inferenceRequest('chat', { stream: true }, { valve });
    let received = 0;
    const done = new Promise<void>((resolve, reject) => {
      client()
        .run(endpoint, leg)
        .subscribe({
          next: (part) => {
            if (received === 0) valve.close();
            received += bytesOf([part]).length;
          },
          error: reject,
          complete: resolve,
        });
    });
    await until(() => received > 0);
    const atClose = received;
    await untilStuck(state);
    expect(state.written).toBeLessThan(EVENTS);
    expect(received).toBe(atClose);
    valve.open();
    await done;
    expect(received).toBe(EVENTS * EVENT.length + FINISH.length + SSE_DONE.length);
  });

  it('holds a stream back whose valve was closed before its connection was there', async () => {
    const state = { written: 0, isBlocked: false };
    const { endpoint } = await upstream(flood(state));
    const valve = new FlowValve();
    valve.close();
    let received = 0;
    const done = new Promise<void>((resolve, reject) => {
      client()
        .run(endpoint, inferenceRequest('chat', { stream: true }, { valve }))
        .subscribe({ next: (part) => (received += bytesOf([part]).length), error: reject, complete: resolve });
    });
    await untilStuck(state);
    expect(state.written).toBeLessThan(EVENTS);
    expect(received).toBe(0);
    valve.open();
    await done;
    expect(received).toBe(EVENTS * EVENT.length + FINISH.length + SSE_DONE.length);
  });

  it('goes on when what another call has just read opens the valve', async () => {
    const state = { written: 0, isBlocked: false };
    const [paused, other] = [
      await upstream(flood(state)),
      await upstream((_request, response) => response.setHeader('content-type', 'application/json').end(WHOLE)),
    ];
    const valve = new FlowValve();
    valve.close();
    let received = 0;
    const remote = client();
    const done = new Promise<void>((resolve, reject) => {
      remote
        .run(paused.endpoint, inferenceRequest('chat', { stream: true }, { valve }))
        .subscribe({ next: (part) => (received += bytesOf([part]).length), error: reject, complete: resolve });
    });
    await untilStuck(state);
    await lastValueFrom(remote.run(other.endpoint, json).pipe(tap(() => valve.open())));
    await done;
    expect(received).toBe(EVENTS * EVENT.length + FINISH.length + SSE_DONE.length);
  });

  it('lets a paused call be cancelled', async () => {
    const state = { written: 0, isBlocked: false };
    const left = { is: false };
    const { endpoint } = await upstream((request, response) => {
      response.once('close', () => (left.is = true));
      return flood(state)(request, response);
    });
    const valve = new FlowValve();
    const subscription = client()
      .run(endpoint, inferenceRequest('chat', { stream: true }, { valve }))
      .subscribe(() => valve.close());
    await until(() => state.isBlocked);
    subscription.unsubscribe();
    await until(() => left.is);
  });
});

describe('RemoteClient.call', () => {
  it('sends any method and gives an empty answer as empty bytes', async () => {
    const { endpoint, seen } = await upstream((_request, response) => response.writeHead(204).end());
    const parts = await firstValueFrom(
      client().call(endpoint, { method: 'DELETE', path: '/kv/v1/handoffs/a%2Fb' }).pipe(toArray()),
    );
    expect(bytesOf(parts)).toHaveLength(0);
    expect(parts).toHaveLength(1);
    expect(seen).toEqual(['DELETE /kv/v1/handoffs/a%2Fb']);
  });
});

describe('RemoteClient.close', () => {
  it('fails what is under way and what comes later, and may be called twice', async () => {
    const arrived: { resolve: () => void } = { resolve: () => undefined };
    const { endpoint, sockets } = await upstream(() => arrived.resolve());
    const remotes = client();
    const waiting = outcome(remotes.run(endpoint, json));
    await new Promise<void>((resolve) => (arrived.resolve = resolve));
    await remotes.close();
    await remotes.close();
    expect((await waiting).error).toBeInstanceOf(RemoteUnavailableError);
    expect((await outcome(remotes.run(endpoint, json))).error).toBeInstanceOf(RemoteUnavailableError);
    await until(() => sockets.size === 0);
  });
});
