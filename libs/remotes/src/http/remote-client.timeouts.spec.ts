import { FlowValve, inferenceRequest, sseEvent, SSE_DONE } from '@baton/inference';
import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Observable } from 'rxjs';
import { parseEndpoint, type Endpoint } from '../endpoint.js';
import { RemoteClient, type RemoteClientOptions } from './remote-client.js';

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function upstream(
  handler: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<{ endpoint: Endpoint; connections: () => number; left: () => Promise<unknown> }> {
  let connections = 0;
  const closed: Promise<unknown>[] = [];
  const server = createServer((request, response) => {
    closed.push(once(response, 'close'));
    void handler(request, response);
  });
  server.on('connection', () => (connections += 1));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    endpoint: parseEndpoint(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    connections: () => connections,
    left: () => Promise.all(closed),
  };
}

function client(options?: RemoteClientOptions): RemoteClient {
  const made = new RemoteClient(options);
  opened.push(() => made.close());
  return made;
}

/** How a call ended, and after how long. */
function ending(parts: Observable<unknown>): Promise<{ parts: number; error?: unknown; ms: number }> {
  return new Promise((resolve) => {
    const start = performance.now();
    let count = 0;
    const end = (error?: unknown): void => resolve({ parts: count, error, ms: performance.now() - start });
    parts.subscribe({ next: () => (count += 1), error: end, complete: () => end() });
  });
}

/** Says `bytes` again and again until the other side leaves. */
async function trickle(response: ServerResponse, bytes: string): Promise<void> {
  while (!response.destroyed) {
    response.write(bytes);
    await sleep(10);
  }
}

const EVENTS = { 'content-type': 'text/event-stream' };
const json = inferenceRequest('completions', { prompt: 'x' });
const streamed = inferenceRequest('chat', { messages: [], stream: true });
const finish = sseEvent({ choices: [{ index: 0, finish_reason: 'stop' }] });
const token = sseEvent({ choices: [{ index: 0, delta: { content: 'x' } }] }).toString();

describe('a call that takes too long', () => {
  it('waits for the first token, whatever is said besides', async () => {
    const { endpoint, left } = await upstream((_request, response) => {
      response.writeHead(200, EVENTS);
      return trickle(response, ': ping\n\n');
    });
    const { error, ms, parts } = await ending(client({ firstTokenTimeoutMs: 150 }).run(endpoint, streamed));
    expect(error).toMatchObject({ reason: 'timeout', timer: 'first_token', code: 'remote_timeout', status: 504 });
    expect(parts).toBe(0);
    expect(ms).toBeGreaterThanOrEqual(145);
    expect(ms).toBeLessThan(1_000);
    await left();
  });

  it.each([
    ['comments', ': ping\n\n'],
    ['pieces of an event', 'x'],
    ['nothing', ''],
  ])('waits for the next token, and does not take %s for it', async (_what, bytes) => {
    const { endpoint, left } = await upstream((_request, response) => {
      response.writeHead(200, EVENTS);
      response.write(token);
      return bytes === '' ? undefined : trickle(response, bytes);
    });
    const { error, parts } = await ending(client({ idleTimeoutMs: 150 }).run(endpoint, streamed));
    expect(error).toMatchObject({ reason: 'timeout', timer: 'between_tokens' });
    expect(parts).toBeGreaterThan(0);
    await left();
  });

  it.each([
    ['in small pieces', json, {}, ' '],
    ['in tokens without end', streamed, EVENTS, token],
  ])('comes to an end when it comes %s', async (_how, leg, headers, bytes) => {
    const { endpoint, left } = await upstream((_request, response) => {
      response.writeHead(200, headers);
      return trickle(response, bytes);
    });
    const { error } = await ending(client({ totalTimeoutMs: 200 }).run(endpoint, leg));
    expect(error).toMatchObject({ reason: 'timeout', timer: 'total' });
    await left();
  });

  it('is told apart from one of which the head is missing, also where the prompt is all that is to be read', async () => {
    const { endpoint } = await upstream(() => undefined);
    const impatient = client({ headTimeoutMs: 100 });
    const prefill = inferenceRequest('completions', { prompt: 'x', max_tokens: 1 });
    for (const leg of [streamed, prefill]) {
      const { error, ms } = await ending(impatient.run(endpoint, leg));
      expect(error).toMatchObject({ reason: 'timeout', timer: 'head' });
      expect(ms).toBeLessThan(1_000);
    }
  });

  it('is let be while the client takes nothing', async () => {
    const { endpoint } = await upstream((_request, response) => {
      response.writeHead(200, EVENTS);
      response.write(token);
      setTimeout(() => response.end(Buffer.concat([finish, SSE_DONE])), 150);
    });
    const valve = new FlowValve();
    const leg = inferenceRequest('chat', { messages: [], stream: true }, { valve });
    const end = ending(client({ idleTimeoutMs: 100 }).run(endpoint, leg));
    await sleep(60);
    valve.close();
    await sleep(300);
    valve.open();
    expect((await end).error).toBeUndefined();
  });
});

describe('a deadline', () => {
  it('is told to whoever computes the leg, and kept', async () => {
    const told: unknown[] = [];
    const { endpoint, left } = await upstream((request) => told.push(request.headers['x-request-timeout-ms']));
    const leg = inferenceRequest('completions', { prompt: 'x' }, { deadlineMs: performance.now() + 200 });
    const { error, ms } = await ending(client().run(endpoint, leg));
    expect(error).toMatchObject({ status: 504, code: 'deadline_exceeded' });
    expect(ms).toBeLessThan(1_000);
    expect(told).toEqual([expect.stringMatching(/^\d{1,3}$/)]);
    expect(Number(told[0])).toBeGreaterThan(0);
    expect(Number(told[0])).toBeLessThanOrEqual(200);
    await left();
  });

  it('that has passed sends nothing', async () => {
    const { endpoint, connections } = await upstream((_request, response) => response.end());
    const leg = inferenceRequest('completions', {}, { deadlineMs: performance.now() - 1 });
    expect((await ending(client().run(endpoint, leg))).error).toMatchObject({ code: 'deadline_exceeded' });
    await sleep(20);
    expect(connections()).toBe(0);
  });
});

it('opens a connection for each call that is under way: none waits behind another', async () => {
  const { endpoint, connections } = await upstream(() => undefined);
  const remotes = client();
  const calls = Array.from({ length: 100 }, () => remotes.run(endpoint, json).subscribe());
  const deadline = Date.now() + 4_000;
  while (connections() < 100 && Date.now() < deadline) await sleep(5);
  expect(connections()).toBe(100);
  for (const call of calls) call.unsubscribe();
});
