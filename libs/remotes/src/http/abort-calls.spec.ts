import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseEndpoint, type Endpoint } from '../endpoint.js';
import { AbortCalls } from './abort-calls.js';

const opened: (() => void)[] = [];

afterEach(() => {
  for (const close of opened.splice(0)) close();
});

async function serve(handler: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<Endpoint> {
  const server = createServer(handler);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return parseEndpoint({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, apiKey: 'k1' });
}

const call = { path: '/abort', body: { rid: 'leg-1', room: 2n ** 62n } };

describe('AbortCalls', () => {
  it('posts the call with the key of the endpoint, and waits for its answer', async () => {
    const seen: unknown[] = [];
    const endpoint = await serve((request, response) => {
      request.on('data', (chunk: Buffer) => {
        seen.push(request.method, request.url, request.headers.authorization, chunk.toString());
      });
      request.on('end', () => response.end('{}'));
    });
    const aborts = new AbortCalls();
    aborts.send(endpoint, call);
    await aborts.settled();
    expect(seen).toEqual(['POST', '/abort', 'Bearer k1', '{"rid":"leg-1","room":4611686018427387904}']);
    await aborts.settled();
  });

  it('minds no failure, and does not try again', async () => {
    let count = 0;
    const failing = await serve((_request, response) => {
      count++;
      response.writeHead(500).end();
    });
    const closing = await serve((request) => request.socket.destroy());
    const aborts = new AbortCalls();
    aborts.send(failing, call);
    aborts.send(closing, call);
    aborts.send(parseEndpoint('http://127.0.0.1:1'), call);
    await aborts.settled();
    expect(count).toBe(1);
  });

  it('follows no redirect', async () => {
    const seen: unknown[] = [];
    const endpoint = await serve((request, response) => {
      seen.push(request.url);
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    const aborts = new AbortCalls();
    aborts.send(endpoint, call);
    await aborts.settled();
    expect(seen).toEqual(['/abort']);
  });

  it.each([false, true])('waits no longer than its time for an answer (begun: %s)', async (isBegun) => {
    let left: Promise<unknown> = Promise.resolve();
    const endpoint = await serve((_request, response) => {
      left = once(response, 'close');
      if (isBegun) response.write('{');
    });
    const aborts = new AbortCalls(50);
    aborts.send(endpoint, call);
    await aborts.settled();
    await left;
  });

  it('has bounds of 64 calls under way and 1,000 that wait, unless it is told otherwise', () => {
    expect(new AbortCalls().bounds).toEqual({ inFlight: 64, waiting: 1_000 });
  });

  it('has so many calls under way at most, keeps so many more, and drops the others', async () => {
    const state = { now: 0, most: 0, all: 0 };
    const held: ServerResponse[] = [];
    const endpoint = await serve((_request, response) => {
      state.all++;
      state.most = Math.max(state.most, ++state.now);
      response.once('close', () => state.now--);
      if (state.all < 8) return held.push(response);
      for (const each of [...held.splice(0), response]) each.end();
      return undefined;
    });
    const aborts = new AbortCalls(30_000, undefined, { inFlight: 8, waiting: 40 });
    for (let count = 0; count < 60; count++) aborts.send(endpoint, call);
    await aborts.settled();
    expect(state.all).toBe(48);
    expect(state.most).toBe(8);
    aborts.send(endpoint, call);
    await aborts.settled();
    expect(state.all).toBe(49);
  });

  it('drops what waits when its time is over', async () => {
    let all = 0;
    const endpoint = await serve(() => all++);
    const aborts = new AbortCalls(100);
    for (let count = 0; count < 200; count++) aborts.send(endpoint, call);
    await aborts.settled();
    expect(all).toBeLessThanOrEqual(128);
  });
});
