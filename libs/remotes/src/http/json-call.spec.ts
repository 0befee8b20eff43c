import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { parseEndpoint, type Endpoint } from '../endpoint.js';
import { callJson } from './json-call.js';
import { RemoteClient } from './remote-client.js';

const opened: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

async function serve(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<Endpoint> {
  const server = createServer(handler);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return parseEndpoint(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function client(): RemoteClient {
  const made = new RemoteClient({ maxAnswerBytes: 1_000 });
  opened.unshift(() => made.close());
  return made;
}

describe('callJson', () => {
  it('asks without a body, and keeps every digit of the answer', async () => {
    const seen: unknown[] = [];
    const endpoint = await serve((request, response) => {
      seen.push(request.method, request.url, request.headers['content-type']);
      response.end('{"0":{"engine_id":"e1"},"room":9223372036854775807}');
    });
    expect(await lastValueFrom(callJson(client(), endpoint, { method: 'GET', path: '/query' }))).toEqual({
      '0': { engine_id: 'e1' },
      room: 9_223_372_036_854_775_807n,
    });
    expect(seen).toEqual(['GET', '/query', undefined]);
  });

  it('asks with a body', async () => {
    const endpoint = await serve((request, response) => {
      expect(request.headers['content-type']).toBe('application/json');
      request.on('data', (chunk: Buffer) => response.end(`{"got":${chunk.toString()}}`));
    });
    const call = { method: 'POST', path: '/tokenize', body: { prompt: 'x' } } as const;
    expect(await lastValueFrom(callJson(client(), endpoint, call))).toEqual({ got: { prompt: 'x' } });
  });

  it('is bounded in time', async () => {
    const endpoint = await serve(() => undefined);
    const call = { method: 'GET', path: '/', headTimeoutMs: 50 } as const;
    await expect(lastValueFrom(callJson(client(), endpoint, call))).rejects.toMatchObject({ reason: 'timeout' });
  });

  it.each([
    [200, '[]', { status: 502, code: 'bad_upstream_answer' }],
    [200, `{"a":"${'x'.repeat(2_000)}"}`, { status: 502, code: 'bad_upstream_answer' }],
    [404, '{"error":{"message":"No such path."}}', { status: 404, message: 'No such path.' }],
    [503, '', { reason: 'busy', isRetryable: true }],
  ])('fails at %d with %.20s', async (status, body, error) => {
    const endpoint = await serve((_request, response) => response.writeHead(status).end(body));
    await expect(lastValueFrom(callJson(client(), endpoint, { method: 'GET', path: '/' }))).rejects.toMatchObject(
      error,
    );
  });
});
