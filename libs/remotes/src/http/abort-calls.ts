import { stringifyJson } from '@baton/inference';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { DialectCall } from '../dialects/dialect.js';
import type { Endpoint } from '../endpoint.js';
import { guardedLookup } from '../outbound/guarded-lookup.js';
import { NetworkPolicy } from '../outbound/network-policy.js';

/** An engine that is slow to answer aborts must not cost every socket of this process. */
const BOUNDS = { inFlight: 64, waiting: 1_000 };

/**
 * Tells servers to end what nobody waits for any more. Each call is sent once, on a connection of its own that neither
 * waits behind others nor keeps the process alive; what becomes of it changes nothing, since the leg's own connection
 * is closed as well. That is why it may be bounded: 64 calls are under way at most and 1,000 wait, others are dropped.
 */
export class AbortCalls {
  readonly #waiting: (() => void)[] = [];
  readonly #whenIdle = new Set<() => void>();
  #inFlight = 0;

  constructor(
    readonly timeoutMs = 2_000,
    readonly policy = new NetworkPolicy(),
    readonly bounds: Readonly<typeof BOUNDS> = BOUNDS,
  ) {}

  send(endpoint: Endpoint, call: DialectCall): void {
    if (this.policy.refusesLiteral(new URL(endpoint.origin).hostname)) return;
    const start = (): void => post(endpoint, call, this, () => this.#ended());
    if (this.#inFlight < this.bounds.inFlight) {
      this.#inFlight += 1;
      start();
    } else if (this.#waiting.length < this.bounds.waiting) {
      this.#waiting.push(start);
    }
  }

  /** Waits for what is under way, as long as one call may take; what has not been sent by then is dropped. */
  async settled(): Promise<void> {
    if (this.#inFlight === 0) return;
    await new Promise<void>((resolve) => {
      // Who waits must not lose the process meanwhile, as the calls by themselves would let happen.
      const alive = setTimeout(() => {
        this.#waiting.length = 0;
        done();
      }, this.timeoutMs);
      const done = (): void => {
        clearTimeout(alive);
        this.#whenIdle.delete(done);
        resolve();
      };
      this.#whenIdle.add(done);
    });
  }

  #ended(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) return next();
    this.#inFlight -= 1;
    if (this.#inFlight === 0) for (const done of this.#whenIdle) done();
  }
}

function post(
  { origin, apiKey }: Endpoint,
  { path, body }: DialectCall,
  { policy, timeoutMs }: Pick<AbortCalls, 'policy' | 'timeoutMs'>,
  done: () => void,
): void {
  const url = new URL(path, origin);
  const content = Buffer.from(stringifyJson(body));
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method: 'POST',
    // No agent: neither a pool nor a proxy of the environment.
    agent: false,
    lookup: guardedLookup(policy),
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
