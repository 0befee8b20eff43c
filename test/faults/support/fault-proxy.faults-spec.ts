import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../support/eventually.js';
import { FaultProxy } from './fault-proxy.js';

/** One end of a connection, and what it saw. */
class End {
  received = Buffer.alloc(0);
  pieces = 0;
  sawFin = false;
  error: string | undefined;

  constructor(readonly socket: Socket) {
    socket.on('data', (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes]);
      this.pieces += 1;
    });
    socket.on('end', () => (this.sawFin = true));
    socket.on('error', (error: NodeJS.ErrnoException) => (this.error = error.code));
  }

  reaches(bytes: number): Promise<number> {
    return eventually(`${bytes} bytes came`, () => this.received.length >= bytes);
  }
}

describe('FaultProxy', () => {
  let server: Server;
  let proxy: FaultProxy;
  let accepted: End[];
  const clients: End[] = [];

  beforeEach(async () => {
    accepted = [];
    server = createServer({ allowHalfOpen: true }, (socket) => accepted.push(new End(socket)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await FaultProxy.start({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  });

  afterEach(async () => {
    for (const { socket } of [...clients.splice(0), ...accepted]) socket.destroy();
    await proxy.stop();
    server.close();
    await once(server, 'close');
  });

  const dial = async (): Promise<End> => {
    const client = new End(connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true }));
    clients.push(client);
    await once(client.socket, 'connect');
    return client;
  };
  /** A client and what the server has of it. */
  const pair = async (): Promise<[client: End, server: End]> => {
    const before = accepted.length;
    const client = await dial();
    await eventually('the server was reached', () => accepted.length > before);
    return [client, accepted.at(-1)!];
  };

  it('changes nothing without a plan: bytes, FINs and RSTs of both sides go on', async () => {
    const [client, target] = await pair();
    const bytes = Buffer.alloc(1_000_003, 'abcdefg');
    client.socket.end(bytes);
    await target.reaches(bytes.length);
    await eventually('the FIN goes on', () => target.sawFin);
    expect(client.sawFin).toBe(false);
    target.socket.end(bytes);
    await client.reaches(bytes.length);
    await eventually('the FIN comes back', () => client.sawFin);
    expect([client.received.equals(bytes), target.received.equals(bytes)]).toEqual([true, true]);
    expect(proxy.counts).toMatchObject({ connections: 1, bytesUp: bytes.length, bytesDown: bytes.length, resets: 0 });

    const [left, leftTarget] = await pair();
    left.socket.resetAndDestroy();
    await eventually('the RST goes on', () => leftTarget.error === 'ECONNRESET');
    const [kept, gone] = await pair();
    gone.socket.resetAndDestroy();
    await eventually('the RST comes back', () => kept.error === 'ECONNRESET');
    await eventually('nothing is open', () => proxy.open === 0);
  });

  it('delays what comes, and keeps its order', async () => {
    proxy.plan = { delayMs: 60 };
    const [client, target] = await pair();
    const start = performance.now();
    client.socket.write('one');
    await sleep(20);
    client.socket.write('two');
    await target.reaches(3);
    expect(performance.now() - start).toBeGreaterThanOrEqual(59);
    await target.reaches(6);
    expect(target.received.toString()).toBe('onetwo');
    expect(performance.now() - start).toBeLessThan(200);
    expect(proxy.counts.delays).toBeGreaterThanOrEqual(2);
  });

  it('chops what comes in one piece', async () => {
    proxy.plan = { chop: [1, 7] };
    const [client, target] = await pair();
    const bytes = Buffer.from('0123456789'.repeat(20));
    target.socket.write(bytes);
    await client.reaches(bytes.length);
    expect(client.received.equals(bytes)).toBe(true);
    expect(proxy.counts.chops).toBeGreaterThanOrEqual(200 / 7);
    expect(client.pieces).toBeGreaterThan(3);
  });

  it.each([
    ['down', 'resetAfterDownBytes'],
    ['up', 'resetAfterUpBytes'],
  ] as const)('resets both sides after exactly so many bytes %s', async (direction, key) => {
    proxy.plan = { [key]: 5 };
    const [client, target] = await pair();
    const [from, to] = direction === 'up' ? [client, target] : [target, client];
    from.socket.write('0123456789');
    await eventually('both were reset', () => client.error === 'ECONNRESET' && target.error === 'ECONNRESET');
    expect(to.received.toString()).toBe('01234');
    expect(proxy.counts.resets).toBe(1);
  });

  it('stalls after exactly so many bytes down, and resumes without a loss', async () => {
    proxy.plan = { stallAfterDownBytes: 5 };
    const [client, target] = await pair();
    target.socket.end('0123456789');
    client.socket.write('up');
    await Promise.all([client.reaches(5), target.reaches(2)]);
    await sleep(50);
    expect([client.received.toString(), client.sawFin, client.error]).toEqual(['01234', false, undefined]);
    expect(proxy.counts.stalls).toBe(1);
    proxy.resumeAll();
    await eventually('the rest comes', () => client.sawFin);
    expect(client.received.toString()).toBe('0123456789');
  });

  it('stalls everything that is open, in both directions', async () => {
    const [client, target] = await pair();
    proxy.stallAll();
    client.socket.write('up');
    target.socket.write('down');
    await sleep(50);
    expect([client.received.length, target.received.length, proxy.counts.stalls]).toEqual([0, 0, 1]);
    proxy.resumeAll();
    await Promise.all([client.reaches(4), target.reaches(2)]);
  });

  it('half-closes towards the target, and lets its answer through', async () => {
    proxy.plan = { halfCloseAfterUpBytes: 4 };
    const [client, target] = await pair();
    client.socket.write('0123456789');
    await eventually('the FIN came', () => target.sawFin);
    expect(target.received.toString()).toBe('0123');
    target.socket.end('answer');
    await client.reaches(6);
    expect(proxy.counts.halfCloses).toBe(1);
  });

  it('swallows connections in a black hole', async () => {
    proxy.plan = { blackHole: true };
    const client = await dial();
    client.socket.write('anyone?');
    await sleep(50);
    expect([accepted.length, client.received.length, client.sawFin, client.error]).toEqual([0, 0, false, undefined]);
    expect([proxy.counts.blackHoled, proxy.open]).toEqual([1, 1]);
  });

  it('resets what it refuses, by its number', async () => {
    proxy.plan = (index) => ({ refuse: index === 0 });
    // It may come so soon that there is no connection at all.
    const client = await dial().catch((error: NodeJS.ErrnoException) => ({ error: error.code }));
    await eventually('it was reset', () => client.error === 'ECONNRESET');
    await pair();
    expect(proxy.counts).toMatchObject({ connections: 2, refused: 1 });
  });

  it('is refused by the system while it is down', async () => {
    const [client, target] = await pair();
    await proxy.goDown();
    await expect(dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    client.socket.write('still here');
    await target.reaches(10);
    await proxy.comeUp();
    await dial();
    expect(proxy.counts.connections).toBe(2);
  });

  it('limits the rate', async () => {
    proxy.plan = { rateBytesPerSecond: 10_000 };
    const [client, target] = await pair();
    const start = performance.now();
    target.socket.write(Buffer.alloc(2_000));
    await client.reaches(2_000);
    expect(performance.now() - start).toBeGreaterThan(150);
  });

  it('resets everything at once', async () => {
    const pairs = [await pair(), await pair()];
    proxy.resetAll();
    await eventually('all were reset', () => pairs.flat().every(({ error }) => error === 'ECONNRESET'));
    expect(proxy.counts.resets).toBe(2);
  });

  it('closes what is idle, and only that', async () => {
    proxy.plan = { closeIdleMs: 60 };
    const [client, target] = await pair();
    client.socket.write('x');
    await target.reaches(1);
    await sleep(80);
    for (let count = 1; count <= 5; count += 1) {
      target.socket.write('y');
      await sleep(25);
    }
    expect([client.sawFin, proxy.counts.idleCloses]).toEqual([false, 0]);
    await eventually('it was closed', () => client.sawFin);
    expect([proxy.counts.idleCloses, client.received.length]).toEqual([1, 5]);
  });

  it('resets a connection that is used again', async () => {
    proxy.plan = { resetReused: true };
    const [client, target] = await pair();
    client.socket.write('one');
    await target.reaches(3);
    target.socket.write('answer');
    await client.reaches(6);
    client.socket.write('two');
    await eventually('it was reset', () => client.error === 'ECONNRESET');
    expect([target.received.toString(), proxy.counts.resets]).toEqual(['one', 1]);
  });

  it('says what the target never said', async () => {
    const [client, target] = await pair();
    proxy.injectAll(Buffer.from('evil'));
    await client.reaches(4);
    target.socket.write('good');
    await client.reaches(8);
    expect([client.received.toString(), proxy.counts.injections]).toEqual(['evilgood', 1]);
  });
});
