import type { KvLeg } from '../../kv/kv-transfer.js';

/** One prompt's part in the KV transfer, and the rank that runs it. */
export interface KvPart {
  readonly kv: KvLeg | undefined;
  readonly rank: number;
}

/** Makes something of each prompt and its part; when one of them is refused, the transfer is told so of all. */
export function ofEachPrompt<T>(
  prompts: readonly (readonly number[])[],
  partOf: (index: number) => KvPart,
  make: (promptIds: readonly number[], part: KvPart, index: number) => T,
): T[] {
  const parts: KvPart[] = [];
  try {
    return prompts.map((promptIds, index) => {
      const part = partOf(index);
      parts.push(part);
      return make(promptIds, part, index);
    });
  } catch (error) {
    for (const { kv } of parts) kv?.refused?.('validation');
    throw error;
  }
}
