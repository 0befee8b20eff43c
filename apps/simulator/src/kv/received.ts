import { untilWoken } from '../engine/pause.js';
import { contentOf, type BlockContent, type KvContent } from '../ledger/kv-content.js';
import type { KvLedger } from '../ledger/kv-ledger.js';

/** Caches that were pushed here and wait for their requests; they take blocks of the pool meanwhile. */
export class Received {
  readonly #arrived = new Set<() => void>();
  readonly #keys = new Map<string, number>();

  constructor(
    readonly ledger: KvLedger,
    readonly prefix: string,
    readonly leaseMs: number,
  ) {}

  /** False when there is no room. */
  put(key: string, blocks: readonly (BlockContent | undefined)[]): boolean {
    const id = `${this.prefix}-${key}`;
    const { tokens } = contentOf(blocks);
    this.ledger.free(id, 'replaced');
    if (this.ledger.allocate(id, id, tokens, 'received') === undefined) return false;
    this.ledger.write(
      id,
      blocks.filter((block) => block !== undefined),
    );
    this.ledger.hold(id, 'received', this.leaseMs, 'never_asked_for');
    this.#keys.set(key, tokens);
    for (const wake of [...this.#arrived]) wake();
    return true;
  }

  /** How long the caches are that wait now, and their keys. */
  get waiting(): ReadonlyMap<string, number> {
    for (const key of this.#keys.keys())
      if (this.ledger.find(`${this.prefix}-${key}`) === undefined) this.#keys.delete(key);
    return this.#keys;
  }

  /** The cache under this key, which is then no longer held; undefined when there is none. */
  take(key: string): KvContent | undefined {
    const id = `${this.prefix}-${key}`;
    const holding = this.ledger.find(id);
    if (holding === undefined) return undefined;
    const content = this.ledger.read(id, holding.tokens);
    this.ledger.free(id, 'consumed');
    this.#keys.delete(key);
    return content;
  }

  /** Takes the cache under this key once it is there. */
  async arrival(key: string, signal: AbortSignal): Promise<KvContent> {
    for (;;) {
      const content = this.take(key);
      if (content !== undefined) return content;
      await untilWoken((wake) => {
        this.#arrived.add(wake);
        return () => this.#arrived.delete(wake);
      }, signal);
    }
  }
}
