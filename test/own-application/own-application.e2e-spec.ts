import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Callers, CoordinationModule, HandoffLedger, InFlight } from '@baton/coordination';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { eventually } from '../support/eventually.js';
import { seen, ShoutPipe, StoryCallers, StoryController, WordGuard } from './story.controller.js';

/** What the stand-in for a decode instance saw, and how it answers. */
interface DecodeStandIn {
  readonly bodies: Record<string, unknown>[];
  readonly released: string[];
  closed: number;
  /** Called with each stream; writes events or keeps silent. */
  answer: (write: (data: string) => void, end: () => void) => void;
}

describe('an application of a team of its own', () => {
  let app: NestFastifyApplication;
  let server: Server;
  let url: string;
  const decode: DecodeStandIn = { bodies: [], released: [], closed: 0, answer: () => undefined };

  beforeAll(async () => {
    server = createServer((request, response) => {
      void (async () => {
        if (request.method === 'DELETE') {
          decode.released.push(String(request.url));
          response.writeHead(204).end();
          return;
        }
        if (request.url === '/baton/v1/info') {
          response.end(JSON.stringify({ connectors: ['embedded'] }));
          return;
        }
        decode.bodies.push(JSON.parse(await text(request)) as Record<string, unknown>);
        response.on('close', () => (decode.closed += 1));
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
        decode.answer(
          (data) => response.write(`data: ${data}\n\n`),
          () => response.end(),
        );
      })();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = (server.address() as AddressInfo).port;
    process.env['STORY_SIDE_CHANNEL_PORT'] = String(port);

    const module = await Test.createTestingModule({
      imports: [
        CoordinationModule.forRoot({
          connector: 'embedded',
          decode: { endpoints: [`http://127.0.0.1:${port}`] },
          providers: [{ provide: Callers, useClass: StoryCallers }],
        }),
      ],
      controllers: [StoryController],
      providers: [WordGuard, ShoutPipe],
    }).compile();
    app = module.createNestApplication<NestFastifyApplication>(
      // Clients keep spare connections open; closing the application does not wait for them.
      new FastifyAdapter({ forceCloseConnections: true }),
      { logger: ['error'] },
    );
    await app.listen(0, '127.0.0.1');
    url = `${await app.getUrl()}/stories`;
  });
  beforeEach(() => {
    Object.assign(decode, { closed: 0, answer: () => undefined });
    decode.bodies.length = decode.released.length = seen.bodies.length = 0;
  });
  afterAll(async () => {
    await app.close();
    server.closeAllConnections();
    server.close();
    delete process.env['STORY_SIDE_CHANNEL_PORT'];
  });

  const tell = (body: object, init: { word?: string; friend?: string; signal?: AbortSignal } = {}): Promise<Response> =>
    fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-word': init.word ?? 'baton', 'x-friend': init.friend ?? '' },
      body: JSON.stringify(body),
      signal: init.signal ?? null,
    });

  it('gets dispatch and streaming; its own pipe runs before its handler', async () => {
    decode.answer = (write, end) => {
      write('{"choices":[{"index":0,"text":"once","finish_reason":"stop"}]}');
      write('[DONE]');
      end();
    };
    const response = await tell({ prompt: 'a fox', max_tokens: 9, stream: true });
    expect(response.headers.get('x-baton-manager')).toBe('prefill-local-decode-remote');
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(await response.text()).toBe(
      'data: {"choices":[{"index":0,"text":"once","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    );
    expect(seen.bodies).toMatchObject([{ prompt: 'A FOX', max_tokens: 1, stream: false }]);
    expect(decode.bodies).toMatchObject([{ prompt: 'a fox', max_tokens: 9, stream: true }]);
    expect(decode.bodies[0]).toMatchObject({ kv_transfer_params: { remote_request_id: 'story-1' } });
    expect(app.get(HandoffLedger).open).toBe(0);
  });

  it('keeps its guard', async () => {
    expect((await tell({ prompt: 'a', max_tokens: 1 }, { word: 'wrong' })).status).toBe(401);
    expect(decode.bodies).toHaveLength(0);
  });

  it('has its body checked before any manager runs', async () => {
    const response = await tell({ prompt: 'a', max_tokens: 0 });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'max_tokens', type: 'invalid_request_error' } });
    expect(seen.bodies).toHaveLength(0);
  });

  it('runs a leg of somebody else in its own handler', async () => {
    const abort = new AbortController();
    const body = { prompt: 'a', max_tokens: 5, stream: true, kv_transfer_params: { do_remote_prefill: true } };
    const response = await tell(body, { friend: 'yes', signal: abort.signal });
    expect(response.headers.get('x-baton-manager')).toBe('local');
    expect(decode.bodies).toHaveLength(0);
    abort.abort();
    await eventually('the handler stopped', () => seen.running === 0, 500);
  });

  it('takes no leg from a client', async () => {
    decode.answer = (write, end) => {
      write('{"choices":[{"index":0,"text":"once","finish_reason":"stop"}]}');
      write('[DONE]');
      end();
    };
    const forged = { do_remote_prefill: true, remote_request_id: 'forged' };
    const response = await tell({ prompt: 'a', max_tokens: 5, stream: true, kv_transfer_params: forged });
    expect(response.headers.get('x-baton-manager')).toBe('prefill-local-decode-remote');
    await response.text();
    expect(decode.bodies).toMatchObject([{ kv_transfer_params: { remote_request_id: 'story-1' } }]);
  });

  it('cleans up when the client leaves in the decode leg, before its first part', async () => {
    const abort = new AbortController();
    const answer = tell({ prompt: 'a', max_tokens: 5, stream: true }, { signal: abort.signal }).catch(() => undefined);
    await eventually('the decode leg arrived', () => decode.bodies.length === 1);
    expect(app.get(HandoffLedger).open).toBe(1);
    abort.abort();
    await answer;
    await eventually('everything is given back', () => decode.closed === 1 && app.get(HandoffLedger).open === 0, 500);
    expect(decode.released).toEqual(['/kv/v1/handoffs/story-1']);
    expect(app.get(InFlight).count).toBe(0);
  });
});

async function text(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
