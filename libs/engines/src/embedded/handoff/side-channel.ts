import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { InferenceError } from '@baton/inference';
import type { EngineCounters } from '../engine-counters.js';
import type { Handoff, HandoffStore } from './handoff-store.js';
import { refusalOf, type SideChannelAccess } from './side-channel-access.js';

/** Path of a handoff on the side channel, before its id. */
export const HANDOFF_PATH = '/kv/v1/handoffs/';
/** Headers that say what a KV state is. */
export const KV_HEADERS = {
  sha256: 'x-baton-kv-sha256',
  fingerprint: 'x-baton-kv-fingerprint',
  tokens: 'x-baton-kv-tokens',
} as const;

/** A request of a peer is a line and a few headers; it must come within this time. */
const REQUEST_TIMEOUT_MS = 5_000;
/** How often it is looked for requests that are late: so much later than its timeout one ends at most. */
const CHECK_INTERVAL_MS = 1_000;
/** Peers that are connected at once; more are turned away, and read the prompt themselves. */
const DEFAULT_MAX_CONNECTIONS = 256;
/** A peer that takes no byte of a state for this long is cut off. */
const DEFAULT_STALL_TIMEOUT_MS = 10_000;

export interface SideChannelOptions {
  readonly host: string;
  readonly port: number;
  readonly fingerprint: string;
  /** Who may read and free handoffs. Default: nobody. */
  readonly access?: SideChannelAccess;
  /** Connections at once; one more is closed as it comes. Default 256. */
  readonly maxConnections?: number;
  /** Longest time without a byte on a connection, in milliseconds; then it is closed. Default 10,000. */
  readonly stallTimeoutMs?: number;
}

/**
 * The engine's own listener for other instances. `GET` of a handoff streams its bytes and frees it once they are
 * all sent; a `GET` that breaks off leaves it in place until its deadline. `DELETE` frees it.
 *
 * A state is read as fast as its peer takes it. A peer that takes nothing is cut off, which breaks its `GET` off.
 */
export class SideChannel {
  readonly #server: Server;
  readonly #store: HandoffStore;
  readonly #counters: EngineCounters;
  readonly #options: SideChannelOptions;

  constructor(store: HandoffStore, counters: EngineCounters, options: SideChannelOptions) {
    this.#store = store;
    this.#counters = counters;
    this.#options = options;
    this.#server = createServer(
      {
        requestTimeout: REQUEST_TIMEOUT_MS,
        headersTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: CHECK_INTERVAL_MS,
      },
      (req, res) => this.#handle(req, res),
    );
    this.#server.maxConnections = options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
    this.#server.timeout = options.stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS;
    // A failed accept (no descriptors left) concerns one peer. A failed start is heard by `once` below as well.
    this.#server.on('error', () => undefined);
  }

  /** Listens. @returns the port. */
  async start(): Promise<number> {
    this.#server.listen(this.#options.port, this.#options.host);
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : this.#options.port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  #handle(req: IncomingMessage, res: ServerResponse): void {
    req.resume();
    const refusal = refusalOf(req.headers, this.#options.access);
    if (refusal !== undefined) {
      if (refusal.status === 401) res.setHeader('www-authenticate', 'Bearer');
      return send(res, refusal);
    }
    const url = req.url ?? '';
    if (!url.startsWith(HANDOFF_PATH)) return fail(res, 404, 'There is nothing here.');
    const id = url.slice(HANDOFF_PATH.length);
    if (req.method === 'GET') return this.#send(id, res);
    if (req.method !== 'DELETE') {
      res.setHeader('allow', 'GET, DELETE');
      return fail(res, 405, 'A handoff can be read (GET) and freed (DELETE).');
    }
    if (!this.#store.free(id, 'released')) return fail(res, 404, 'There is no such handoff.');
    res.writeHead(204).end();
  }

  #send(id: string, res: ServerResponse): void {
    const reading = this.#store.read(id).subscribe({
      next: (handoff) => this.#stream(handoff, res),
      error: () => (res.headersSent ? res.destroy() : fail(res, 404, 'There is no such handoff.')),
    });
    res.on('finish', () => {
      reading.unsubscribe();
      if (res.statusCode === 200) this.#store.free(id, 'taken');
    });
    res.on('close', () => reading.unsubscribe());
  }

  #stream(handoff: Handoff, res: ServerResponse): void {
    res.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': handoff.bytes,
      [KV_HEADERS.sha256]: handoff.sha256,
      [KV_HEADERS.fingerprint]: this.#options.fingerprint,
      [KV_HEADERS.tokens]: handoff.tokens,
    });
    // Told where it ends, it ends with its last byte. Else that is one more read later, when a peer that has every byte may have
    // closed the connection already, and what was taken would count as broken off.
    const file = createReadStream(handoff.file.path, {
      highWaterMark: 256 * 1024,
      end: Math.max(0, handoff.bytes - 1),
    });
    file.on('data', (chunk) => (this.#counters.handoffBytes.sent += chunk.length));
    // A state that cannot be read is of no use to anyone; freeing it ends this answer, too.
    file.on('error', () => this.#store.free(handoff.id, 'failed') || res.destroy());
    res.on('close', () => file.destroy());
    file.pipe(res);
  }
}

function fail(res: ServerResponse, status: number, message: string): void {
  const code = status === 404 ? 'handoff_not_found' : 'method_not_allowed';
  send(res, new InferenceError(message, { status, code }));
}

function send(res: ServerResponse, error: InferenceError): void {
  res.writeHead(error.status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(error.toBody()));
}
