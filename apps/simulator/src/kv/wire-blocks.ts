import { EMPTY_DIGEST } from '../engine/prefix-hash.js';
import { isObject, numberOf, stringOf, type JsonObject } from '../json.js';
import type { BlockContent } from '../ledger/kv-content.js';

/** Contents of blocks as they go over a side channel. */
export const blocksToWire = (blocks: readonly (BlockContent | undefined)[]): JsonObject => ({
  blocks: blocks.map((block) => block ?? null),
});

/** What came over a side channel; a block that nothing was ever written to is undefined. */
export function blocksFromWire(body: JsonObject): (BlockContent | undefined)[] {
  const { blocks } = body;
  if (!Array.isArray(blocks)) return [];
  return blocks.map((block: unknown) =>
    isObject(block)
      ? {
          before: stringOf(block['before']) ?? EMPTY_DIGEST,
          after: stringOf(block['after']) ?? EMPTY_DIGEST,
          tokens: numberOf(block['tokens']) ?? 0,
        }
      : undefined,
  );
}
