import type { BlockContent } from './kv-content.js';

/**
 * The blocks of the KV cache. What was freed last is given out first, and keeps its content until it is written
 * again: who reads blocks that are no longer held gets whatever is in them.
 */
export class BlockPool {
  readonly #free: number[];
  readonly #contents = new Map<number, BlockContent>();

  constructor(readonly total: number) {
    this.#free = Array.from({ length: total }, (_, index) => total - index);
  }

  get free(): number {
    return this.#free.length;
  }

  /** Undefined when there are not as many. */
  take(count: number): number[] | undefined {
    return count > this.#free.length ? undefined : this.#free.splice(this.#free.length - count, count).reverse();
  }

  give(blocks: readonly number[]): void {
    for (let index = blocks.length - 1; index >= 0; index--) {
      const block = blocks[index];
      if (block !== undefined) this.#free.push(block);
    }
  }

  write(block: number, content: BlockContent): void {
    this.#contents.set(block, content);
  }

  read(block: number): BlockContent | undefined {
    return this.#contents.get(block);
  }
}
