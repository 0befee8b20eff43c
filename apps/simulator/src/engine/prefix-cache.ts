import type { BlockContent } from '../ledger/kv-content.js';
import { PrefixHash, type Digest } from './prefix-hash.js';

const KEPT = 100_000;

/** Which full blocks were computed before. Off: nothing ever was. */
export class PrefixCache {
  readonly #known = new Set<Digest>();

  constructor(
    readonly enabled: boolean,
    readonly blockTokens: number,
  ) {}

  add(blocks: readonly BlockContent[]): void {
    if (!this.enabled) return;
    for (const { after, tokens } of blocks) if (tokens === this.blockTokens) this.#known.add(after);
    for (const digest of this.#known) {
      if (this.#known.size <= KEPT) return;
      this.#known.delete(digest);
    }
  }

  /** Tokens at the beginning of a prompt that need not be computed; never all of them. */
  hit(ids: readonly number[]): number {
    if (!this.enabled) return 0;
    const hash = new PrefixHash();
    for (let from = 0; from + this.blockTokens < ids.length; from += this.blockTokens)
      if (!this.#known.has(hash.pushAll(ids, from, from + this.blockTokens).digest)) return from;
    return Math.floor((ids.length - 1) / this.blockTokens) * this.blockTokens;
  }
}
