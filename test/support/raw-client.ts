import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** How a client leaves. */
export type Leaving = 'RST' | 'FIN';

/** A POST over a socket of its own, to leave at a chosen moment in a chosen way. */
export class RawPost {
  #received = '';

  private constructor(readonly socket: Socket) {
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (this.#received += text));
    socket.on('error', () => undefined);
  }

  static async send(
    url: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RawPost> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    const post = new RawPost(socket);
    await once(socket, 'connect');
    const json = JSON.stringify(body);
    const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\n` +
        `${more.join('')}content-length: ${Buffer.byteLength(json)}\r\n\r\n${json}`,
    );
    return post;
  }

  /** Everything that came, head included. */
  get received(): string {
    return this.#received;
  }

  /** How many events came. */
  get events(): number {
    return this.#received.split('data: ').length - 1;
  }

  /** Resolves when `count` events came; fails when the connection ends before. */
  eventsReach(count: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.events >= count) settle(resolve);
        else if (this.socket.destroyed) {
          settle(() => reject(new Error(`Closed after ${this.events} events:\n${this.#received}`)));
        }
      };
      const settle = (done: () => void): void => {
        this.socket.off('data', look).off('close', look);
        done();
      };
      this.socket.on('data', look).on('close', look);
      look();
    });
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    // A reset closes as well, which `once` of node:events would reject with.
    if (!this.socket.destroyed) await new Promise((resolve) => this.socket.once('close', resolve));
  }

  leave(how: Leaving): void {
    if (how === 'RST') this.socket.resetAndDestroy();
    else this.socket.end();
  }
}
