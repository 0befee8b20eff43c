import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { whileHeld } from '@baton/inference';
import { AddressList, guardedConnector, NetworkPolicy } from '@baton/remotes';
import { catchError, concat, defer, map, NEVER, Observable, of, switchMap, timeout } from 'rxjs';
import { Agent, request, type Dispatcher } from 'undici';
import { abortable } from '../support/abortable.js';
import type { EngineCounters, RecomputeReason } from '../engine-counters.js';
import type { HandoffStore } from './handoff-store.js';
import type { HandoffTicket } from './handoff-ticket.js';
import { assertPeerAllowed, hostOf } from './kv-peers.js';
import type { PrivateDirectory } from './private-directory.js';
import { HANDOFF_PATH, KV_HEADERS } from './side-channel.js';
import type { TempFile } from './temp-file.js';

const CONNECT_TIMEOUT_MS = 1_000;
const RELEASE_TIMEOUT_MS = 1_000;

/** What became of a pull: a file with the whole, checked state, or why there is none. */
export type PulledState =
  { readonly kind: 'state'; readonly file: TempFile } | { readonly kind: 'none'; readonly reason: RecomputeReason };

export interface HandoffPullOptions {
  readonly engineId: string;
  readonly fingerprint: string;
  readonly peers: readonly string[];
  /** Networks that peers have to be in, as CIDR. Default: all. */
  readonly allowedNetworks?: readonly string[];
  /** Key for peers; empty sends none. */
  readonly apiKey?: string;
  readonly maxHandoffBytes: number;
  /** Longest time for one transfer, in milliseconds. */
  readonly pullTimeoutMs: number;
}

/** A handoff that cannot be used. */
class UnusableHandoff extends Error {
  constructor(readonly reason: RecomputeReason) {
    super(`The handoff cannot be used: ${reason}.`);
  }
}

/** Fetches KV states from other engines, or from this engine's own store. */
export class HandoffPull {
  readonly #agent: Agent;
  readonly #peers: AddressList;

  constructor(
    private readonly options: HandoffPullOptions,
    private readonly store: HandoffStore,
    private readonly directory: PrivateDirectory,
    private readonly counters: EngineCounters,
  ) {
    this.#peers = new AddressList(options.peers);
    const policy = new NetworkPolicy({ ...options, configuredHosts: options.peers.map(hostOf) });
    this.#agent = new Agent({ connect: guardedConnector(policy, { timeoutMs: CONNECT_TIMEOUT_MS }) });
  }

  /** @throws InferenceError 403 `address_not_allowed`. */
  assertAllowed(ticket: HandoffTicket): void {
    if (ticket.engineId !== this.options.engineId) assertPeerAllowed(this.#peers, ticket.host, ticket.port);
  }

  /**
   * The state that `ticket` names. A resource: it emits once, the file is removed when it is unsubscribed. All
   * that can go wrong on the way ends in `none`, for then the prompt is evaluated here.
   *
   * @param tokens what the state must hold: all of the prompt but its last token.
   */
  pull(ticket: HandoffTicket, tokens: number): Observable<PulledState> {
    return defer(() => {
      this.assertAllowed(ticket);
      const reason = this.#refusal(ticket, tokens);
      if (reason !== undefined) return this.#decline(ticket, reason);
      if (ticket.engineId === this.options.engineId) return this.#takeOwn(ticket.handoffId);
      return this.directory.file().pipe(
        whileHeld((file) => {
          file.onRemoved(this.#reserve(ticket));
          return concat(this.#transfer(ticket, file), NEVER);
        }),
        catchError((error: unknown) => this.#decline(ticket, reasonOf(error))),
      );
    });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** What can be known before the transfer. */
  #refusal(ticket: HandoffTicket, tokens: number): RecomputeReason | undefined {
    if (ticket.fingerprint !== this.options.fingerprint || ticket.tokens !== tokens) return 'mismatch';
    return ticket.bytes > this.options.maxHandoffBytes ? 'too_large' : undefined;
  }

  /** Room for the state as long as its file exists: however many pulls there are, their states do not fill the memory. */
  #reserve({ bytes }: HandoffTicket): () => void {
    try {
      return this.store.reserve(bytes);
    } catch {
      throw new UnusableHandoff('too_large');
    }
  }

  #takeOwn(id: string): Observable<PulledState> {
    return new Observable((subscriber) => {
      const taken = this.store.take(id);
      if (taken === undefined) return subscriber.next({ kind: 'none', reason: 'lost' });
      const { file, bytes } = taken;
      file.onRemoved(this.store.reserve(bytes));
      subscriber.add(() => void file.remove());
      subscriber.next({ kind: 'state', file });
    });
  }

  #transfer(ticket: HandoffTicket, file: TempFile): Observable<PulledState> {
    return abortable((signal) =>
      file.use(() => this.counters.time('handoff', () => this.#download(ticket, file.path, signal))),
    ).pipe(
      timeout(this.options.pullTimeoutMs),
      map((): PulledState => ({ kind: 'state', file })),
    );
  }

  /** Writes the state to `path` as it comes, and checks it: llama.cpp ends the process over a file cut short. */
  async #download(ticket: HandoffTicket, path: string, signal: AbortSignal): Promise<void> {
    const handle = await open(path, 'wx', 0o600);
    try {
      const { statusCode, headers, body } = await this.#request('GET', ticket, signal, this.options.pullTimeoutMs);
      // A body that nobody reads to its end must not keep its connection.
      const refuse = (reason: RecomputeReason): never => {
        body.destroy();
        throw new UnusableHandoff(reason);
      };
      body.on('error', () => undefined);
      if (statusCode !== 200) return refuse('lost');
      if (headers[KV_HEADERS.fingerprint] !== this.options.fingerprint) return refuse('mismatch');
      const hash = createHash('sha256');
      let length = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > ticket.bytes) return refuse('damaged');
        this.counters.handoffBytes.received += chunk.length;
        hash.update(chunk);
        await handle.writeFile(chunk);
      }
      if (length !== ticket.bytes || hash.digest('hex') !== ticket.sha256) throw new UnusableHandoff('damaged');
    } finally {
      await handle.close();
    }
  }

  /** Goes on without the state. What can never be used is freed at its owner, which would keep it until its deadline. */
  #decline(ticket: HandoffTicket, reason: RecomputeReason): Observable<PulledState> {
    const none = concat(of<PulledState>({ kind: 'none', reason }), NEVER);
    if (reason === 'lost' || reason === 'timeout') return none;
    if (ticket.engineId === this.options.engineId) {
      this.store.free(ticket.handoffId, 'released');
      return none;
    }
    return abortable(async (signal) => {
      const { body } = await this.#request('DELETE', ticket, signal, RELEASE_TIMEOUT_MS);
      await body.dump();
    }).pipe(
      timeout(RELEASE_TIMEOUT_MS),
      catchError(() => of(undefined)),
      switchMap(() => none),
    );
  }

  #request(
    method: 'GET' | 'DELETE',
    ticket: HandoffTicket,
    signal: AbortSignal,
    timeoutMs: number,
  ): Promise<Dispatcher.ResponseData> {
    const host = ticket.host.includes(':') && !ticket.host.startsWith('[') ? `[${ticket.host}]` : ticket.host;
    return request(`http://${host}:${ticket.port}${HANDOFF_PATH}${ticket.handoffId}`, {
      method,
      dispatcher: this.#agent,
      signal,
      headers: this.options.apiKey ? { authorization: `Bearer ${this.options.apiKey}` } : {},
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  }
}

/** The file system has no room, or none for this user. */
const NO_ROOM = new Set(['ENOSPC', 'EDQUOT']);
const TIMEOUTS = new Set(['TimeoutError', 'ConnectTimeoutError', 'HeadersTimeoutError', 'BodyTimeoutError']);

function reasonOf(error: unknown): RecomputeReason {
  if (error instanceof UnusableHandoff) return error.reason;
  if (!(error instanceof Error)) return 'lost';
  if ('code' in error && NO_ROOM.has(String(error.code))) return 'too_large';
  return TIMEOUTS.has(error.name) ? 'timeout' : 'lost';
}
