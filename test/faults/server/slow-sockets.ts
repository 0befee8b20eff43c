import { connect, type Socket } from 'node:net';

/** How a connection keeps a server waiting. */
export type Slowness = 'headers' | 'body' | 'idle' | 'kept';

export const SLOWNESSES: readonly Slowness[] = ['headers', 'body', 'idle', 'kept'];

const BYTE_EVERY_MS = 1_000;
const HEAD = 'POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';

/** A connection that sends a byte a second of its headers or its body, nothing at all, or nothing after one request. */
export class SlowSocket {
  /** How long the server left it open, in ms; undefined while it is. */
  closedAfterMs: number | undefined;
  readonly #socket: Socket;
  readonly #dribble: NodeJS.Timeout;
  readonly #start = performance.now();

  constructor(
    port: number,
    readonly slowness: Slowness,
  ) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#closed());
    // A server that has said its last word: this end is closed as well, by the socket itself.
    this.#socket.resume();
    this.#socket.write(FIRST[slowness]);
    this.#dribble = setInterval(() => {
      if (slowness === 'headers' || slowness === 'body') this.#socket.write('a');
    }, BYTE_EVERY_MS);
  }

  leave(): void {
    this.#socket.destroy();
  }

  #closed(): void {
    clearInterval(this.#dribble);
    this.closedAfterMs = performance.now() - this.#start;
  }
}

const FIRST: Readonly<Record<Slowness, string>> = {
  headers: `${HEAD}x-slow: `,
  body: `${HEAD}content-length: 100000\r\n\r\n{"prompt":"`,
  idle: '',
  kept: 'GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n',
};
