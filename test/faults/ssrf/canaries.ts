import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A listener that nobody has a reason to connect to. */
export class Canary {
  #connections = 0;
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly host: string,
  ) {
    server.on('connection', (socket) => {
      this.#connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
      // An answer, so that whoever got here does not wait for one.
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}');
    });
  }

  static async listen(host: string, port = 0): Promise<Canary> {
    const canary = new Canary(createServer(), host);
    await once(canary.server.listen(port, host), 'listening');
    return canary;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Connections that were made to it, ever. */
  get connections(): number {
    return this.#connections;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }
}

const ALIASES = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.1.2.3', '127.0.0.1', '::1'];

/** Listeners on several addresses of this machine. */
export class Canaries {
  private constructor(readonly all: readonly Canary[]) {}

  static async listen(): Promise<Canaries> {
    return new Canaries(await Promise.all(ALIASES.map((host) => Canary.listen(host))));
  }

  get connections(): number {
    return this.all.reduce((sum, { connections }) => sum + connections, 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((canary) => canary.stop()));
  }
}
