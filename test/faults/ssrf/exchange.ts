import { connect } from 'node:net';

/** What came back over a socket, and how it ended. */
export interface Exchange {
  readonly text: string;
  /** Of each answer that came, in order. */
  readonly statuses: readonly number[];
  readonly ms: number;
}

const WITHIN_MS = 10_000;

/**
 * Writes `bytes` as they are, and reads until the server closes, or until `answers` answers have come and it is silent for
 * a moment.
 */
export function exchange(
  url: string,
  bytes: string | Uint8Array,
  options: { lingerMs?: number } = {},
): Promise<Exchange> {
  const { hostname, port } = new URL(url);
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    let text = '';
    let linger: NodeJS.Timeout | undefined;
    const bound = setTimeout(() => socket.destroy(new Error(`No end within ${WITHIN_MS} ms: ${text}`)), WITHIN_MS);
    socket.setEncoding('latin1');
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (piece: string) => {
      text += piece;
      clearTimeout(linger);
      if (options.lingerMs !== undefined) linger = setTimeout(() => socket.destroy(), options.lingerMs);
    });
    let failure: Error | undefined;
    socket.on('error', (error) => (failure = error));
    socket.on('close', () => {
      clearTimeout(bound);
      clearTimeout(linger);
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
      // A server that refuses may reset what it has not read: what it said before counts.
      if (statuses.length === 0) reject(failure ?? new Error('The server closed without an answer.'));
      else resolve({ text, statuses, ms: performance.now() - start });
    });
  });
}

/** A POST as a text, with header lines as they are given. */
export function post(path: string, body: unknown, lines: readonly string[] = []): string {
  const json = JSON.stringify(body);
  const own = ['host: instance', 'content-type: application/json', 'connection: close'];
  const names = new Set(lines.map((line) => line.split(':')[0]?.toLowerCase()));
  const kept = own.filter((line) => !names.has(line.split(':')[0]));
  return `POST ${path} HTTP/1.1\r\n${[...kept, ...lines, `content-length: ${Buffer.byteLength(json)}`].join('\r\n')}\r\n\r\n${json}`;
}
