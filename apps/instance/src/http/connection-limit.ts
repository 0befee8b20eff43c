import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Connections above the limit, for health checks and refusals: each is short. */
const SPARE_CONNECTIONS = 32;
const SPARE_LIFETIME_MS = 2_000;
/** Of the files that the process may open. Each request may hold two more, to P and to D, and idle ones are kept for a while. */
const SHARE_FOR_CLIENTS = 0.25;

/**
 * Bounds the connections of clients. Some more are taken for a moment, so that health is told and requests are refused with a
 * sentence; above those, connections are closed as they come.
 */
export class ConnectionLimit {
  readonly #spare = new WeakSet<Socket>();
  #open = 0;

  /** @param most connections; less when the process may not open so many files. */
  constructor(readonly most: number) {}

  /** The limit of this process: `configured`, or what its open files allow. */
  static ofProcess(configured: number, maxOpenFiles = openFilesLimit()): ConnectionLimit {
    return new ConnectionLimit(Math.max(1, Math.min(configured, Math.floor(maxOpenFiles * SHARE_FOR_CLIENTS))));
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#open;
  }

  guard(server: Server): void {
    server.maxConnections = this.most + SPARE_CONNECTIONS;
    server.on('connection', (socket) => {
      this.#open += 1;
      socket.once('close', () => (this.#open -= 1));
      if (this.#open <= this.most) return;
      this.#spare.add(socket);
      const timer = setTimeout(() => socket.destroy(), SPARE_LIFETIME_MS);
      socket.once('close', () => clearTimeout(timer));
    });
  }

  /** Whether a connection is above the limit: nothing that takes long may be begun on it. */
  isSpare(socket: Socket): boolean {
    return this.#spare.has(socket);
  }
}

/** How many files this process may have open; Infinity where that is not told. Node.js raises it to the hard limit itself. */
function openFilesLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}
