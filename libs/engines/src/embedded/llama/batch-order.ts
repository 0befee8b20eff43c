import type { CustomBatchingPrioritizationStrategy, EvaluationPriority, LlamaContextSequence } from 'node-llama-cpp';

/**
 * Decides what is evaluated together: all waiting decode steps in one batch, each prefill chunk in a batch of its
 * own, and the two in turn. So decode waits for one chunk at most. And a chunk is always rounded in the same way,
 * whatever else runs, since llama.cpp rounds by batch shape: a prefix that is kept can be used again without
 * changing any later token.
 *
 * The steps of a batch are in the order of their sequences. llama.cpp evaluates them in that order, and when it differs
 * from the batch's it exchanges the rows of logits later, as the first row is read. node-llama-cpp reads the rows in
 * several threads at once, so that exchange would run twice or half, and answers would get each other's tokens.
 * (llama.cpp v0.4.0, `llama_context::output_reorder`.)
 */
export function decodeAndPrefillInTurn(): CustomBatchingPrioritizationStrategy {
  let isPrefillNext = false;
  return ({ items, size }) => {
    const chunk = items.find((item) => !item.logits.includes(true));
    if (chunk !== undefined && (isPrefillNext || items.every((item) => !item.logits.includes(true)))) {
      isPrefillNext = false;
      return [{ item: chunk, processAmount: chunk.tokens.length }];
    }
    isPrefillNext = true;
    return items
      .filter((item) => item.logits.includes(true))
      .slice(0, size)
      .sort((a, b) => a.evaluationPriority - b.evaluationPriority)
      .map((item) => ({ item, processAmount: item.tokens.length }));
  };
}

/**
 * The number of `sequence` in its context, as the priority of its decode steps: the only value of ours that the library
 * hands through to the strategy above, and with a strategy of one's own it means nothing else.
 *
 * @throws Error when the library keeps the number elsewhere.
 */
export function placeInBatch(sequence: LlamaContextSequence): EvaluationPriority {
  const id: unknown = Reflect.get(sequence, '_sequenceId');
  if (typeof id !== 'number') throw new Error('This version of node-llama-cpp does not tell the number of a sequence.');
  return id as EvaluationPriority;
}
