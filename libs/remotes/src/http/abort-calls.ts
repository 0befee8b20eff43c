import { stringifyJson } from '@baton/inference';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { DialectCall } from '../dialects/dialect.js';
import type { Endpoint } from '../endpoint.js';

/**
 * Tells servers to end what nobody waits for any more. Each call is sent once, on a connection of its own that neither
 * waits behind others nor keeps the process alive; what becomes of it changes nothing, since the leg's own connection
 * is closed as well.
 */
export class AbortCalls {
  readonly #pending = new Set<Promise<void>>();

  constructor(private readonly timeoutMs = 2_000) {}

  send(endpoint: Endpoint, call: DialectCall): void {
    const sent = new Promise<void>((resolve) => post(endpoint, call, this.timeoutMs, resolve));
    this.#pending.add(sent);
    void sent.then(() => this.#pending.delete(sent));
  }

  /** Waits for what is under way, which ends by itself when its time is over. */
  async settled(): Promise<void> {
    if (this.#pending.size === 0) return;
    // Who waits must not lose the process meanwhile, as the calls by themselves would let happen.
    const alive = setTimeout(() => undefined, 2 * this.timeoutMs);
    await Promise.all(this.#pending);
    clearTimeout(alive);
  }
}

function post({ origin, apiKey }: Endpoint, { path, body }: DialectCall, timeoutMs: number, done: () => void): void {
  const url = new URL(path, origin);
  const content = Buffer.from(stringifyJson(body));
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method: 'POST',
    agent: false,
    headers: {
      'content-type': 'application/json',
      'content-length': content.length,
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    },
    signal: AbortSignal.timeout(timeoutMs),
  });
  request.on('socket', (socket) => socket.unref());
  request.on('response', (response) => response.resume().on('error', () => undefined));
  request.on('error', () => undefined);
  request.on('close', done);
  request.end(content);
}
