import { afterEach, describe, expect, it } from '@jest/globals';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import { BodyBytes } from './body-bytes.js';
import { readBody } from './read-body.js';

const LIMIT = 1024 * 1024;
const TYPE = 'application/octet-stream';
/** With Fastify's own reading of a body, which ours must not differ from. */
const READERS = {
  'Fastify itself': (app: FastifyInstance) =>
    app.addContentTypeParser(TYPE, { parseAs: 'buffer' }, (_request, body, done) => done(null, body)),
  readBody: (app: FastifyInstance) => app.addContentTypeParser(TYPE, readBody),
};

/** Each byte tells its place. */
const bytesOf = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => (index * 31) % 251));

describe.each(Object.entries(READERS))('A body read by %s', (_name, addParser) => {
  let app: FastifyInstance;
  let errors: EventEmitter<{ refused: [FastifyError] }>;

  async function start(): Promise<string> {
    errors = new EventEmitter();
    app = Fastify({ bodyLimit: LIMIT });
    addParser(app);
    app.setErrorHandler((error: FastifyError, _request, reply) => {
      errors.emit('refused', error);
      return reply.send(error);
    });
    app.post('/', (request) => request.body);
    return app.listen({ port: 0, host: '127.0.0.1' });
  }

  afterEach(() => app.close());

  async function post(body: Buffer | ReadableStream): Promise<{ status: number; bytes: Buffer }> {
    const init = { method: 'POST', headers: { 'content-type': TYPE }, body, duplex: 'half' } as RequestInit;
    const response = await fetch(await start(), init);
    return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
  }

  function inPieces(bytes: Buffer, size: number): ReadableStream {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    return ReadableStream.from(pieces);
  }

  it.each([0, 1, 300_000, LIMIT])('is whole with %i bytes announced', async (length) => {
    const { status, bytes } = await post(bytesOf(length));
    expect([status, bytes.equals(bytesOf(length))]).toEqual([200, true]);
  });

  it.each([1, 300_000, LIMIT])('is whole with %i bytes that nobody announced', async (length) => {
    const { status, bytes } = await post(inPieces(bytesOf(length), 70_000));
    expect([status, bytes.equals(bytesOf(length))]).toEqual([200, true]);
  });

  /** Sends a head and what follows it, and then no more, over a connection of its own. */
  async function send(header: string, ...rest: (string | Buffer)[]): Promise<void> {
    const { hostname, port } = new URL(await start());
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-type: ${TYPE}\r\n${header}\r\n\r\n`);
    for (const bytes of rest) socket.write(bytes);
    socket.end();
  }

  const refusal = async (): Promise<unknown[]> => once(errors, 'refused');

  it('is refused when more than the limit is announced, before any of it', async () => {
    await send(`content-length: ${LIMIT + 1}`);
    expect(await refusal()).toMatchObject([{ statusCode: 413, code: 'FST_ERR_CTP_BODY_TOO_LARGE' }]);
  });

  it('is refused when more than the limit comes', async () => {
    await send('transfer-encoding: chunked', `${(LIMIT + 1).toString(16)}\r\n`, bytesOf(LIMIT + 1));
    expect(await refusal()).toMatchObject([{ statusCode: 413, code: 'FST_ERR_CTP_BODY_TOO_LARGE' }]);
  });

  it.each([100, 300_000])('is an error of the client when it is cut off after %i bytes', async (sent) => {
    await send(`content-length: ${LIMIT}`, bytesOf(sent));
    expect(await refusal()).toMatchObject([{ statusCode: 400, code: 'ECONNRESET' }]);
  });

  it.each([
    [1, 2],
    [300_000, 300_001],
    [300_001, 300_000],
  ])('is refused with %i bytes where %i were announced', async (sent, announced) => {
    await start();
    const headers = { 'content-type': TYPE, 'content-length': String(announced) };
    const refused = refusal();
    await app.inject({ method: 'POST', url: '/', headers, payload: bytesOf(sent) });
    expect(await refused).toMatchObject([{ statusCode: 400, code: 'FST_ERR_CTP_INVALID_CONTENT_LENGTH' }]);
  });
});

describe('BodyBytes', () => {
  it('takes no memory for what was only announced', () => {
    const before = process.memoryUsage().arrayBuffers;
    const body = new BodyBytes(64 * 1024 * 1024);
    body.add(bytesOf(1_000));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
  });
});
