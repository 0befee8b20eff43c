import { InferenceError, newId } from '@baton/inference';
import { Observable } from 'rxjs';
import type { HandoffOutcome } from '../engine-counters.js';
import type { TempFile } from './temp-file.js';

/** What a kept KV state is. */
export interface HandoffFacts {
  readonly bytes: number;
  /** Tokens in the state. */
  readonly tokens: number;
  readonly sha256: string;
}

/** A KV state that is kept for a decode leg. */
export interface Handoff extends HandoffFacts {
  readonly id: string;
  readonly file: TempFile;
  /** Unix time of this machine in milliseconds after which it is gone, unless it is being read. */
  readonly expiresAtMs: number;
}

export interface HandoffStoreOptions {
  /** How long a handoff is kept, in milliseconds. */
  readonly ttlMs: number;
  /** All handoffs and all that is reserved together, in bytes. */
  readonly maxBytes: number;
  /** How much longer than `ttlMs` a handoff is kept at most while it is being read, in milliseconds. */
  readonly readTimeoutMs: number;
  readonly onEnd: (outcome: HandoffOutcome) => void;
}

interface Entry {
  readonly handoff: Handoff;
  readonly readers: Set<() => void>;
  /** As `expiresAtMs`, on the clock of `performance.now()`, which nobody sets. */
  readonly endsAtMs: number;
  timer: NodeJS.Timeout;
}

/** The KV states that this engine keeps for others, each until it is taken, released, or past its deadline. */
export class HandoffStore {
  readonly #entries = new Map<string, Entry>();
  readonly #options: HandoffStoreOptions;
  #bytes = 0;

  constructor(options: HandoffStoreOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** How long a handoff is kept, in milliseconds. */
  get leaseMs(): number {
    return this.#options.ttlMs;
  }

  get(id: string): Handoff | undefined {
    return this.#entries.get(id)?.handoff;
  }

  /** @throws InferenceError 503 `kv_store_full` when `bytes` more would be too many. */
  assertRoom(bytes: number): void {
    if (this.#bytes + bytes <= this.#options.maxBytes) return;
    throw new InferenceError('Too many KV states are waiting for their decode instances.', {
      status: 503,
      code: 'kv_store_full',
      retryAfterSeconds: 1,
    });
  }

  /**
   * Keeps a state; from here on the store owns its file.
   *
   * @throws InferenceError 503 `kv_store_full`; then the file is still the caller's.
   */
  keep(file: TempFile, facts: HandoffFacts): Handoff {
    this.assertRoom(facts.bytes);
    const { ttlMs } = this.#options;
    const handoff: Handoff = { ...facts, id: newId(), file: file.handOver(), expiresAtMs: Date.now() + ttlMs };
    this.#bytes += facts.bytes;
    const endsAtMs = performance.now() + ttlMs;
    const timer = this.#expireAfter(handoff.id, ttlMs);
    this.#entries.set(handoff.id, { handoff, readers: new Set(), endsAtMs, timer });
    return handoff;
  }

  /**
   * Counts a state that is taken from somebody else as if it were kept: they lie in the same memory.
   *
   * @returns gives the bytes back.
   * @throws InferenceError 503 `kv_store_full`.
   */
  reserve(bytes: number): () => void {
    this.assertRoom(bytes);
    this.#bytes += bytes;
    return () => (this.#bytes -= bytes);
  }

  /**
   * Reads a handoff. A resource: while it is subscribed, the handoff is kept past its deadline, but never longer
   * than `ttlMs + readTimeoutMs` after it was made, whoever reads it then. It fails when the handoff is gone, also
   * in the middle.
   */
  read(id: string): Observable<Handoff> {
    return new Observable((subscriber) => {
      const entry = this.#entries.get(id);
      if (entry === undefined) return subscriber.error(gone());
      const end = (): void => subscriber.error(gone());
      entry.readers.add(end);
      clearTimeout(entry.timer);
      entry.timer = this.#expireAfter(id, this.#leftMs(entry, this.#options.readTimeoutMs));
      subscriber.add(() => {
        entry.readers.delete(end);
        if (entry.readers.size > 0 || this.#entries.get(id) !== entry) return;
        clearTimeout(entry.timer);
        entry.timer = this.#expireAfter(id, this.#leftMs(entry, 0));
      });
      subscriber.next(entry.handoff);
    });
  }

  /** Takes a handoff out; its file is now the caller's. */
  take(id: string): Handoff | undefined {
    return this.#end(id, 'taken');
  }

  /** Frees a handoff. @returns whether there was one. */
  free(id: string, outcome: HandoffOutcome): boolean {
    const handoff = this.#end(id, outcome);
    void handoff?.file.remove();
    return handoff !== undefined;
  }

  /** Frees all. */
  async clear(): Promise<void> {
    const files = [...this.#entries.keys()].flatMap((id) => this.#end(id, 'released')?.file ?? []);
    await Promise.all(files.map((file) => file.remove()));
  }

  #end(id: string, outcome: HandoffOutcome): Handoff | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    this.#entries.delete(id);
    this.#bytes -= entry.handoff.bytes;
    clearTimeout(entry.timer);
    this.#options.onEnd(outcome);
    for (const end of [...entry.readers]) end();
    return entry.handoff;
  }

  #leftMs({ endsAtMs }: Entry, extraMs: number): number {
    return Math.max(0, endsAtMs + extraMs - performance.now());
  }

  #expireAfter(id: string, ms: number): NodeJS.Timeout {
    return setTimeout(() => this.free(id, 'expired'), ms).unref();
  }
}

function gone(): InferenceError {
  return new InferenceError('There is no such handoff.', { status: 404, code: 'handoff_not_found' });
}
