import { describe, expect, it } from '@jest/globals';
import type { BatchItem, LlamaContextSequence, Token } from 'node-llama-cpp';
import { decodeAndPrefillInTurn, placeInBatch } from './batch-order.js';

const step = (place: number): BatchItem => ({
  tokens: [7 as Token],
  logits: [true],
  evaluationPriority: place as BatchItem['evaluationPriority'],
});
const chunk = (tokens: number): BatchItem => ({
  tokens: Array.from({ length: tokens }, (_, i) => i as Token),
  logits: [],
  evaluationPriority: 1,
});

describe('the order of batches', () => {
  it('has decode steps in the order of their sequences, whatever order they came in', () => {
    const order = decodeAndPrefillInTurn();
    const items = [5, 0, 7, 2, 1].map(step);
    const batch = order({ items, size: 512 });
    expect(batch.map(({ item }) => item.evaluationPriority)).toEqual([0, 1, 2, 5, 7]);
    expect(items.map(({ evaluationPriority }) => evaluationPriority)).toEqual([5, 0, 7, 2, 1]);
  });

  it('gives a prefill chunk a batch of its own, in turn with decode', () => {
    const order = decodeAndPrefillInTurn();
    const items = [step(3), chunk(128), step(1)];
    const turns = Array.from({ length: 3 }, () =>
      order({ items, size: 512 }).map(({ processAmount }) => processAmount),
    );
    expect(turns).toEqual([[1, 1], [128], [1, 1]]);
    expect(order({ items: [chunk(9)], size: 512 }).map(({ processAmount }) => processAmount)).toEqual([9]);
  });

  it('says so when the library keeps the number of a sequence elsewhere', () => {
    expect(placeInBatch({ _sequenceId: 4 } as unknown as LlamaContextSequence)).toBe(4);
    expect(() => placeInBatch({} as LlamaContextSequence)).toThrow('does not tell the number');
  });
});
