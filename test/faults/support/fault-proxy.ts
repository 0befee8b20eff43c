import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { noCounts, type FaultCounts, type FaultPlan } from './fault-plan.js';
import { ProxiedConnection } from './proxied-connection.js';
import { Random } from './random.js';

const LOOPBACK = '127.0.0.1';

/** Where a proxy leads. */
export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

/** A TCP proxy that misbehaves as planned, and counts what it did. It knows nothing of HTTP. */
export class FaultProxy {
  /** For connections that come from now on; as a function, for each by its number, from 0. */
  plan: FaultPlan | ((index: number) => FaultPlan) = {};
  readonly counts: FaultCounts = noCounts();
  readonly #connections = new Set<ProxiedConnection>();
  readonly #swallowed = new Set<Socket>();
  #server: Server;

  private constructor(
    private readonly target: ProxyTarget,
    readonly host: string,
    readonly port: number,
    server: Server,
    private readonly random: Random,
  ) {
    this.#server = this.#serve(server);
  }

  /** Listens on a port that the system chose. `random` cuts the pieces. */
  static async start(target: ProxyTarget, random = new Random(1)): Promise<FaultProxy> {
    const server = await listen(LOOPBACK, 0);
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The proxy listens on no port.');
    return new FaultProxy(target, LOOPBACK, address.port, server, random);
  }

  /** As {@link start}, before something that is known by its URL. */
  static before(url: string, random?: Random): Promise<FaultProxy> {
    const { hostname, port } = new URL(url);
    return FaultProxy.start({ host: hostname, port: Number(port) }, random);
  }

  /** Another proxy before the same target, on the same port of another address of this machine. */
  async alsoOn(host: string): Promise<FaultProxy> {
    return new FaultProxy(this.target, host, this.port, await listen(host, this.port), this.random);
  }

  get url(): string {
    return `http://${this.host}:${this.port}`;
  }

  /** Connections that are open now, on either side. */
  get open(): number {
    this.#forgetClosed();
    return this.#connections.size + this.#swallowed.size;
  }

  /** RST to both sides of every connection. */
  resetAll(): void {
    for (const connection of this.#connections) connection.reset();
    for (const socket of this.#swallowed) socket.resetAndDestroy();
  }

  /** The wire is dead, and nobody is told. */
  stallAll(): void {
    for (const connection of this.#connections) if (connection.isOpen) connection.stall();
  }

  /** What was stalled goes on; nothing was lost. */
  resumeAll(): void {
    for (const connection of this.#connections) connection.resume();
  }

  /** Writes `bytes` to whoever has connected, as if the target had said them. */
  injectAll(bytes: Buffer): void {
    for (const connection of this.#connections) connection.inject(bytes);
  }

  /** The system refuses new connections; those there are go on. */
  async goDown(): Promise<void> {
    // Resolves only when every connection has ended, which is not waited for.
    this.#server.close();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Takes connections on the same port again. */
  async comeUp(): Promise<void> {
    this.#server = this.#serve(await listen(this.host, this.port));
  }

  async stop(): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined;
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
    for (const socket of this.#swallowed) socket.destroy();
    await closed;
  }

  #serve(server: Server): Server {
    return server.on('connection', (socket) => this.#accept(socket));
  }

  #accept(socket: Socket): void {
    const plan = typeof this.plan === 'function' ? this.plan(this.counts.connections) : this.plan;
    this.counts.connections += 1;
    if (plan.refuse === true) {
      this.counts.refused += 1;
      socket.on('error', () => undefined).resetAndDestroy();
    } else if (plan.blackHole === true) {
      this.counts.blackHoled += 1;
      this.#swallow(socket);
    } else {
      this.#forgetClosed();
      this.#connections.add(new ProxiedConnection(socket, this.target, plan, this.counts, this.random));
    }
  }

  #swallow(socket: Socket): void {
    this.#swallowed.add(socket);
    socket
      .on('error', () => undefined)
      .on('close', () => this.#swallowed.delete(socket))
      .on('end', () => socket.end())
      .resume();
  }

  #forgetClosed(): void {
    for (const connection of this.#connections) if (!connection.isOpen) this.#connections.delete(connection);
  }
}

async function listen(host: string, port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  server.listen({ host, port });
  await once(server, 'listening');
  return server;
}
