import type { CustomBatchingPrioritizationStrategy } from 'node-llama-cpp';

/**
 * Decides what is evaluated together: all waiting decode steps in one batch, each prefill chunk in a batch of its
 * own, and the two in turn. So decode waits for one chunk at most. And a chunk is always rounded in the same way,
 * whatever else runs, since llama.cpp rounds by batch shape: a prefix that is kept can be used again without
 * changing any later token.
 */
export function decodeAndPrefillInTurn(): CustomBatchingPrioritizationStrategy {
  let isPrefillNext = false;
  return ({ items, size }) => {
    const chunk = items.find((item) => !item.logits.includes(true));
    const steps = items.filter((item) => item.logits.includes(true)).slice(0, size);
    if (chunk !== undefined && (isPrefillNext || steps.length === 0)) {
      isPrefillNext = false;
      return [{ item: chunk, processAmount: chunk.tokens.length }];
    }
    isPrefillNext = true;
    return steps.map((item) => ({ item, processAmount: item.tokens.length }));
  };
}
