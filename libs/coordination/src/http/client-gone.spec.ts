import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, request, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import type { Subscription } from 'rxjs';
import { clientGone } from './client-gone.js';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(handler: (response: ServerResponse) => void): Promise<number> {
  const server = createServer((_request, response) => handler(response));
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

function post(port: number): ReturnType<typeof request> {
  const call = request({ port, host: '127.0.0.1', method: 'POST' }).on('error', () => undefined);
  call.end('body');
  return call;
}

/** The events of one response. */
function watch(response: ServerResponse, log: string[]): Subscription {
  response.once('close', () => log.push('close'));
  return clientGone(response).subscribe(() => log.push('gone'));
}

describe('clientGone', () => {
  it('is silent when the answer is complete', async () => {
    const log: string[] = [];
    const closed = new Promise<void>((resolve) => {
      void serve((response) => {
        watch(response, log);
        response.once('close', resolve);
        response.end('done');
      }).then((port) => post(port).on('response', (response) => response.resume()));
    });
    await closed;
    expect(log).toEqual(['close']);
  });

  it('emits when the client leaves before the answer, or in the middle of it', async () => {
    for (const beginning of ['', 'half']) {
      const log: string[] = [];
      let leave = (): unknown => undefined;
      const port = await serve((response) => {
        watch(response, log);
        if (beginning) response.write(beginning);
        leave();
      });
      const gone = new Promise<void>((resolve) =>
        servers.at(-1)?.once('connection', (socket) => socket.once('close', () => resolve())),
      );
      const call = post(port);
      leave = () => call.destroy();
      await gone;
      expect(log.sort()).toEqual(['close', 'gone']);
    }
  });

  it('emits at once when the client has already gone', async () => {
    const closed = new Promise<ServerResponse>((resolve) => {
      void serve((response) => response.once('close', () => resolve(response)).destroy()).then(post);
    });
    const log: string[] = [];
    watch(await closed, log);
    expect(log).toEqual(['gone']);
  });

  it('emits for each request that waits on a connection, with one listener, and leaves none behind', async () => {
    const log: string[] = [];
    const COUNT = 20;
    const responses: ServerResponse[] = [];
    const all = new Promise<void>((resolve) => {
      void serve((response) => {
        responses.push(response);
        if (responses.length === COUNT) resolve();
      }).then((port) => {
        const socket = connect(port, '127.0.0.1').on('error', () => undefined);
        socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(COUNT));
      });
    });
    await all;
    const [first] = responses;
    const listeners = (): number => first?.req.socket.listenerCount('close') ?? -1;
    const before = listeners();
    const subscriptions = responses.map((response) => clientGone(response).subscribe(() => log.push('gone')));
    expect(listeners()).toBe(before + 1);
    subscriptions.pop()?.unsubscribe();
    if (first !== undefined) await once(first.req.socket.destroy(), 'close');
    expect(log).toHaveLength(COUNT - 1);
    for (const subscription of subscriptions) subscription.unsubscribe();
  });

  it('leaves no listener on the response when nobody wants to know any more', async () => {
    const response = await new Promise<ServerResponse>((resolve) => void serve(resolve).then(post));
    const before = response.listenerCount('close');
    clientGone(response).subscribe().unsubscribe();
    expect(response.listenerCount('close')).toBe(before);
  });
});
