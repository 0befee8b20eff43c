import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP relay to an instance that holds connections back until it is opened: makes a gap in time to act in. */
export class Gate {
  readonly #held: Socket[] = [];
  readonly #sockets = new Set<Socket>();
  #isOpen = false;
  #arrived = 0;
  #waiting: (() => void)[] = [];

  private constructor(
    private readonly target: URL,
    private readonly server = createServer((socket) => this.#take(socket)),
  ) {}

  static async before(target: string): Promise<Gate> {
    const gate = new Gate(new URL(target));
    gate.server.listen(0, '127.0.0.1');
    await once(gate.server, 'listening');
    return gate;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Connections that came so far. */
  get arrived(): number {
    return this.#arrived;
  }

  /** Resolves when `count` connections have come. */
  async arrivals(count: number): Promise<void> {
    while (this.#arrived < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  open(): void {
    this.#isOpen = true;
    for (const socket of this.#held.splice(0)) this.#relay(socket);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  #take(socket: Socket): void {
    this.#track(socket);
    this.#arrived += 1;
    for (const wake of this.#waiting.splice(0)) wake();
    if (this.#isOpen) this.#relay(socket);
    else this.#held.push(socket);
  }

  #relay(socket: Socket): void {
    const upstream = connect({ host: this.target.hostname, port: Number(this.target.port) });
    this.#track(upstream);
    socket.pipe(upstream).pipe(socket);
    socket.on('close', () => upstream.destroy());
    upstream.on('close', () => socket.destroy());
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
