import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A client that asks for a stream, and takes little or nothing of it. */
export class SlowReader {
  /** What it took. */
  taken = 0;
  readonly #pace: NodeJS.Timeout | undefined;

  private constructor(
    readonly socket: Socket,
    bytesPerSecond: number,
  ) {
    socket.on('error', () => undefined);
    if (bytesPerSecond === 0) return;
    this.#pace = setInterval(() => {
      const chunk = socket.read(bytesPerSecond / 10) as Buffer | null;
      this.taken += chunk?.length ?? 0;
    }, 100);
    socket.once('close', () => clearInterval(this.#pace));
  }

  /** Asks, and stops reading (or reads so many bytes a second). */
  static async ask(port: number, path: string, body: string, bytesPerSecond = 0): Promise<SlowReader> {
    const socket = connect({ host: '127.0.0.1', port });
    await once(socket, 'connect');
    // Never in flowing mode: what nobody reads stays in the kernel.
    socket.pause();
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    return new SlowReader(socket, bytesPerSecond);
  }

  reset(): void {
    clearInterval(this.#pace);
    this.socket.resetAndDestroy();
  }
}
