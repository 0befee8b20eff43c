import {
  inferenceRequest,
  legOf,
  RawJson,
  type InferenceRequest,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { lastValueFrom, toArray } from 'rxjs';
import type { DialectName } from '../dialects/dialect.js';
import { parseEndpoint, type Endpoint } from '../endpoint.js';
import { RemoteClient, type RemoteClientOptions } from './remote-client.js';

interface Seen {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

type Handler = (seen: Seen, response: ServerResponse) => void;

const opened: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A server that keeps what it was asked, and aborts as any does: at once, without a word. */
async function upstream(dialect: DialectName, handler: Handler): Promise<{ endpoint: Endpoint; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const asked = { path: request.url ?? '', headers: request.headers, body };
      seen.push(asked);
      if (asked.path.includes('abort')) response.end();
      else handler(asked, response);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { seen, endpoint: parseEndpoint({ url, dialect, apiKey: 'k1' }) };
}

function client(options?: RemoteClientOptions): RemoteClient {
  const made = new RemoteClient(options);
  opened.push(() => made.close());
  return made;
}

const generate = (body: JsonObject = {}): InferenceRequest =>
  inferenceRequest(
    'generate',
    { token_ids: [1, 2], sampling_params: { max_tokens: 2 }, ...body },
    { id: 'leg-1', isLeg: true },
  );

const all = (remotes: RemoteClient, endpoint: Endpoint, leg: InferenceRequest): Promise<ResponsePart[]> =>
  lastValueFrom(remotes.run(endpoint, leg).pipe(toArray()));

const textOf = (parts: readonly ResponsePart[]): string =>
  parts.map((part) => (part.kind === 'bytes' ? Buffer.from(part.bytes).toString() : 'not bytes')).join('');

const sse = (response: ServerResponse): ServerResponse => response.setHeader('content-type', 'text/event-stream');

describe('a dialect', () => {
  it('is spoken and translated, for an answer in one piece', async () => {
    const { endpoint, seen } = await upstream('sglang', (_seen, response) =>
      response.end(
        '{"output_ids":[5],"meta_info":{"id":"leg-1","finish_reason":{"type":"length"},"prompt_tokens":2,"completion_tokens":1}}',
      ),
    );
    const parts = await all(client(), endpoint, generate({ bootstrap_room: 2n ** 62n }));
    expect(seen[0]).toMatchObject({ path: '/generate', headers: { 'x-request-id': 'leg-1' } });
    expect(seen[0]?.body).toContain('"bootstrap_room":4611686018427387904');
    expect(parts).toMatchObject([
      { kind: 'json', body: { request_id: 'leg-1', choices: [{ token_ids: [5], finish_reason: 'length' }] } },
    ]);
  });

  it('is translated before an answer is judged', async () => {
    const { endpoint } = await upstream('sglang', (_seen, response) =>
      response.end('{"output_ids":[5],"meta_info":{"finish_reason":{"type":"abort","message":"no"}}}'),
    );
    await expect(all(client(), endpoint, generate())).rejects.toMatchObject({ code: 'upstream_aborted' });
  });

  it('is translated event by event, and a stream without an end mark gets one', async () => {
    const { endpoint, seen } = await upstream('llamacpp', (_seen, response) => {
      sse(response).write('data: {"index":0,"tokens":[5],"stop":false}\n\n');
      response.end('data: {"index":0,"tokens":[],"stop":true,"stop_type":"limit"}\n\n');
    });
    const parts = await all(client(), endpoint, generate({ stream: true }));
    expect(seen.map(({ path }) => path)).toEqual(['/completion']);
    expect(textOf(parts).match(/^data: .*$/gm)).toEqual([
      expect.stringContaining('"token_ids":[5]'),
      expect.stringContaining('"finish_reason":"length"'),
      'data: [DONE]',
    ]);
  });

  it('that has no such parameter fails the leg, and nothing is sent', async () => {
    const { endpoint, seen } = await upstream('sglang', () => undefined);
    await expect(all(client(), endpoint, generate({ features: {} }))).rejects.toMatchObject({ status: 501 });
    expect(seen).toEqual([]);
  });
});

describe('a body', () => {
  it('of several pieces goes out with its length, as one JSON text', async () => {
    const ids = `[${Array.from({ length: 200_000 }, (_value, index) => index).join(',')}]`;
    const { endpoint, seen } = await upstream('openai', (_seen, response) =>
      response.end('{"choices":[{"index":0,"finish_reason":"stop"}]}'),
    );
    await all(client(), endpoint, generate({ token_ids: new RawJson(Buffer.from(ids), 200_000), after: 1 }));
    const [sent] = seen;
    expect(sent?.body).toBe(`{"token_ids":${ids},"sampling_params":{"max_tokens":2},"after":1}`);
    expect(sent?.headers['content-length']).toBe(String(sent?.body.length));
    expect(sent?.headers['transfer-encoding']).toBeUndefined();
  });

  it('of several pieces may be left while it is sent', async () => {
    const ids = Buffer.from(`[${'1,'.repeat(8 * 1024 * 1024)}1]`);
    const { endpoint } = await upstream('openai', () => undefined);
    const remotes = client();
    const subscription = remotes.run(endpoint, generate({ token_ids: new RawJson(ids, 1) })).subscribe();
    await new Promise(setImmediate);
    subscription.unsubscribe();
    await remotes.close();
  });
});

describe('leaving a leg', () => {
  /** What was asked besides the leg itself, once all that was sent has arrived. */
  async function aborts(remotes: RemoteClient, seen: readonly Seen[]): Promise<Seen[]> {
    await remotes.close();
    return seen.filter(({ path }) => path.includes('abort'));
  }

  it('while it streams tells the server, and closes the connection', async () => {
    let left: Promise<unknown> | undefined;
    const { endpoint, seen } = await upstream('vllm', (_seen, response) => {
      left = once(response, 'close');
      sse(response).write('data: {"choices":[{"index":0,"token_ids":[5]}]}\n\n');
    });
    const remotes = client();
    await new Promise<void>((resolve) => {
      const subscription = remotes.run(endpoint, generate({ stream: true })).subscribe(() => {
        subscription.unsubscribe();
        resolve();
      });
    });
    await left;
    const [abort, ...more] = await aborts(remotes, seen);
    expect(more).toEqual([]);
    expect(abort).toMatchObject({
      path: '/inference/v1/abort_requests',
      headers: { authorization: 'Bearer k1', 'content-type': 'application/json' },
      body: '{"request_ids":["generate-tokens-leg-1"]}',
    });
  });

  it('before its answer begins tells the server', async () => {
    const arrived: { resolve: () => void } = { resolve: () => undefined };
    const { endpoint, seen } = await upstream('sglang', () => arrived.resolve());
    const remotes = client();
    const leg = legOf(inferenceRequest('chat', {}), {});
    const subscription = remotes.run(endpoint, leg).subscribe();
    await new Promise<void>((resolve) => (arrived.resolve = resolve));
    subscription.unsubscribe();
    expect(await aborts(remotes, seen)).toMatchObject([{ path: '/abort_request', body: `{"rid":"${leg.id}"}` }]);
  });

  it('that is the client’s own request ends no other with its id', async () => {
    const arrived: { resolve: () => void } = { resolve: () => undefined };
    const { endpoint, seen } = await upstream('vllm', () => arrived.resolve());
    const remotes = client();
    const request = { ...generate(), isLeg: false };
    const subscription = remotes.run(endpoint, request).subscribe();
    await new Promise<void>((resolve) => (arrived.resolve = resolve));
    subscription.unsubscribe();
    const [abort] = await aborts(remotes, seen);
    const id = String(seen[0]?.headers['x-request-id']);
    expect(id).toMatch(new RegExp(`^${request.key}-`));
    expect(abort?.body).toBe(`{"request_ids":["generate-tokens-${id}"]}`);
  });

  it('that takes too long tells the server', async () => {
    const { endpoint, seen } = await upstream('vllm', () => undefined);
    const remotes = client({ answerTimeoutMs: 50 });
    await expect(all(remotes, endpoint, generate())).rejects.toMatchObject({ reason: 'timeout' });
    expect(await aborts(remotes, seen)).toHaveLength(1);
  });

  it('before it is sent tells nobody', async () => {
    const { endpoint, seen } = await upstream('vllm', () => undefined);
    const remotes = client();
    remotes.run(endpoint, generate()).subscribe().unsubscribe();
    expect(await aborts(remotes, seen)).toEqual([]);
  });

  it.each([
    ['whole', 200, '{"choices":[{"index":0,"finish_reason":"stop"}]}'],
    ['refused', 400, '{"error":{"message":"no"}}'],
    ['no answer', 200, '{}'],
  ])('that is over (%s) tells nobody', async (_what, status, body) => {
    const { endpoint, seen } = await upstream('vllm', (_seen, response) => response.writeHead(status).end(body));
    const remotes = client();
    await all(remotes, endpoint, generate()).catch(() => undefined);
    expect(await aborts(remotes, seen)).toEqual([]);
  });

  it('that is whole, although its connection stays open, tells nobody', async () => {
    const { endpoint, seen } = await upstream('vllm', (_seen, response) => {
      sse(response).write('data: {"choices":[{"index":0,"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
    });
    const remotes = client();
    await all(remotes, endpoint, generate({ stream: true }));
    expect(await aborts(remotes, seen)).toEqual([]);
  });

  it('that the server itself gave up tells nobody', async () => {
    const { endpoint, seen } = await upstream('vllm', (_seen, response) => {
      sse(response).write('data: {"error":{"message":"no"}}\n\n');
    });
    const remotes = client();
    await expect(all(remotes, endpoint, generate({ stream: true }))).rejects.toMatchObject({
      code: 'upstream_error_event',
    });
    expect(await aborts(remotes, seen)).toEqual([]);
  });

  it('of an api without an abort closes the connection only', async () => {
    let left: Promise<unknown> | undefined;
    const arrived: { resolve: () => void } = { resolve: () => undefined };
    const { endpoint, seen } = await upstream('vllm', (_seen, response) => {
      left = once(response, 'close');
      arrived.resolve();
    });
    const remotes = client();
    const subscription = remotes.run(endpoint, inferenceRequest('chat', {})).subscribe();
    await new Promise<void>((resolve) => (arrived.resolve = resolve));
    subscription.unsubscribe();
    await left;
    expect(await aborts(remotes, seen)).toEqual([]);
  });
});
