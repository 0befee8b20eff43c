import { describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { ConnectionLimit } from './connection-limit.js';

describe('ConnectionLimit', () => {
  it('is what the configuration says, or what the open files allow', () => {
    expect(ConnectionLimit.ofProcess(100, Infinity).most).toBe(100);
    expect(ConnectionLimit.ofProcess(100, 1_024).most).toBe(100);
    expect(ConnectionLimit.ofProcess(16_384, 256).most).toBe(64);
    expect(ConnectionLimit.ofProcess(16_384, 1).most).toBe(1);
  });

  it('counts connections, and tells which of them are above the limit', async () => {
    const limit = new ConnectionLimit(1);
    const server = createServer();
    limit.guard(server);
    const spares: boolean[] = [];
    const closed: Promise<unknown>[] = [];
    server.on('connection', (socket) => {
      spares.push(limit.isSpare(socket));
      closed.push(once(socket, 'close'));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const clients = [await connected(server), await connected(server)];
    expect([spares, limit.open, server.maxConnections]).toEqual([[false, true], 2, 33]);
    for (const client of clients) client.destroy();
    await Promise.all(closed);
    server.close();
    expect(limit.open).toBe(0);
  });
});

async function connected(server: Server): Promise<Socket> {
  const accepted = once(server, 'connection');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await accepted;
  return socket;
}
