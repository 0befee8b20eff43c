import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { onSent } from './on-sent.js';

const STALL_MS = 150;
const MiB = 1024 * 1024;
const open: (Server | Socket)[] = [];

afterEach(() => {
  for (const each of open.splice(0)) {
    if ('destroy' in each) each.destroy();
    else each.close();
  }
});

/** A server whose handler gets each response, and a client connection that sends `requests` at once. */
async function serve(requests: number, handler: (response: ServerResponse, index: number) => void): Promise<Socket> {
  let index = 0;
  const server = createServer((_request, response) => handler(response, index++)).listen(0, '127.0.0.1');
  open.push(server);
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined);
  open.push(socket);
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(requests));
  return socket;
}

describe('onSent', () => {
  it('says true when all of it has been taken, also by a slow client', async () => {
    let socket: Socket | undefined;
    const isSent = new Promise((resolve) => {
      void serve(1, (response) => {
        response.end(Buffer.alloc(24 * MiB));
        onSent(response, 2_000, resolve);
      }).then((client) => {
        socket = client.pause();
        setTimeout(() => client.resume(), 100);
      });
    });
    expect(await isSent).toBe(true);
    expect(socket?.bytesRead).toBeGreaterThan(20 * MiB);
  });

  it('cuts off a client that takes nothing', async () => {
    let client: Socket | undefined;
    const isSent = await new Promise((resolve) => {
      void serve(1, (response) => {
        response.end(Buffer.alloc(64 * MiB));
        onSent(response, STALL_MS, resolve);
      }).then((socket) => (client = socket.pause()));
    });
    expect(isSent).toBe(false);
    expect(client?.bytesRead).toBeLessThan(64 * MiB);
  });

  it('says false when the client has gone', async () => {
    const isSent = new Promise((resolve) => {
      void serve(1, (response) => {
        response.end(Buffer.alloc(64 * MiB));
        onSent(response, 10_000, resolve);
      }).then((socket) => socket.once('data', () => socket.resetAndDestroy()));
    });
    expect(await isSent).toBe(false);
  });

  it('leaves no timeout to the response that waits behind it on the connection', async () => {
    const outcomes: boolean[] = [];
    const socket = await serve(2, (response, index) => {
      // The second one takes longer than the first one's client may stall.
      setTimeout(() => response.end(`answer ${index}`), index * STALL_MS * 3);
      onSent(response, index === 0 ? STALL_MS : 10_000, (isSent) => outcomes.push(isSent));
    });
    let received = '';
    socket.on('data', (data) => (received += String(data)));
    while (!received.includes('answer 1')) await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    expect(outcomes[0]).toBe(true);
  });
});
