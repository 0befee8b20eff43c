import { EMPTY_DIGEST, PrefixHash, type Digest } from '../engine/prefix-hash.js';

/** What one block of the pool holds: some tokens that follow what `before` digests. */
export interface BlockContent {
  readonly before: Digest;
  readonly after: Digest;
  readonly tokens: number;
}

/** A KV cache of `tokens` tokens, as it was read from blocks. */
export interface KvContent {
  readonly tokens: number;
  readonly digest: Digest;
}

/** The contents of the blocks of a prompt. */
export function blocksOf(ids: readonly number[], blockTokens: number): BlockContent[] {
  const hash = new PrefixHash();
  const blocks: BlockContent[] = [];
  for (let from = 0; from < ids.length; from += blockTokens) {
    const before = hash.digest;
    const to = Math.min(ids.length, from + blockTokens);
    blocks.push({ before, after: hash.pushAll(ids, from, to).digest, tokens: to - from });
  }
  return blocks;
}

/** Blocks for a cache of which only the whole is known: the first says all, the rest follow it. */
export function blocksOfContent(cache: KvContent, blockTokens: number): BlockContent[] {
  const blocks: BlockContent[] = [];
  for (let from = 0; from < cache.tokens; from += blockTokens)
    blocks.push({
      before: from === 0 ? EMPTY_DIGEST : cache.digest,
      after: cache.digest,
      tokens: Math.min(blockTokens, cache.tokens - from),
    });
  return blocks;
}

/**
 * The cache that blocks make when they are read in order. Blocks that do not belong together (some were freed and
 * given to another request) make a cache of garbage, not an error: nobody can see it from outside.
 */
export function contentOf(blocks: readonly (BlockContent | undefined)[]): KvContent {
  let tokens = 0;
  let digest = EMPTY_DIGEST;
  for (const block of blocks) {
    tokens += block?.tokens ?? 0;
    digest = block?.before === digest ? block.after : garbage(digest, block);
  }
  return { tokens, digest };
}

/** What a block holds that something else was written to: it belongs to no prompt. */
export const foreignContent = (block: number, tokens: number): BlockContent => ({
  before: block.toString(16).padStart(16, 'f'),
  after: block.toString(16).padStart(16, 'e'),
  tokens,
});

const garbage = (digest: Digest, block: BlockContent | undefined): Digest =>
  new PrefixHash(digest).push(Number.parseInt((block?.after ?? '0').slice(0, 7), 16)).push(0x2000_0000).digest;
