import { beforeEach, describe, expect, it } from '@jest/globals';
import type { LlamaContext } from 'node-llama-cpp';
import { EvaluationWatch } from './evaluation-watch.js';
import { SequenceSlot } from './sequence-slot.js';

const PROMPT = [1, 2, 3, 4];

/** A sequence that llama.cpp leaves unusable when a state could not be loaded. */
class FakeSequence {
  contextTokens: number[] = [];
  isBroken = false;
  isDisposed = false;
  readonly needsCheckpoints = false;

  get nextTokenIndex(): number {
    return this.contextTokens.length;
  }

  async loadStateFromFile(file: string): Promise<void> {
    if (file === 'garbage') {
      this.isBroken = true;
      throw new Error('Failed to load the state');
    }
    this.contextTokens = file.split(',').map(Number);
  }

  async eraseContextTokenRanges([range]: { start: number; end: number }[]): Promise<void> {
    this.contextTokens = this.contextTokens.slice(0, range?.start);
  }

  async evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void> {
    if (this.isBroken || this.isDisposed) throw new Error('Eval has failed');
    this.contextTokens.push(...tokens);
  }

  async dispose(): Promise<void> {
    this.isDisposed = true;
  }
}

let sequences: FakeSequence[];
let sequencesLeft: number;
let slot: SequenceSlot;

beforeEach(() => {
  sequences = [];
  sequencesLeft = Infinity;
  const context = {
    disposed: false,
    getSequence: () => {
      if ((sequencesLeft -= 1) < 0) throw new Error('No sequences left');
      const sequence = new FakeSequence();
      sequences.push(sequence);
      return sequence;
    },
  };
  slot = new SequenceSlot(context as unknown as LlamaContext, new EvaluationWatch());
});

async function evaluate(prompt: readonly number[]): Promise<void> {
  expect(await slot.rewindTo(prompt)).toBe(0);
  await slot.evaluateChunk(prompt.slice(0, -1));
}

describe('SequenceSlot.load', () => {
  it('has what it loaded, when that is the prompt', async () => {
    expect(await slot.load('1,2,3', PROMPT)).toBe(true);
    expect(slot.reusableTokens(PROMPT)).toBe(3);
  });

  it.each(['1,2,9', '1,2', '1,2,3,4'])('has nothing of the prompt when the state is that of %s', async (file) => {
    expect(await slot.load(file, PROMPT)).toBe(false);
    expect(slot.reusableTokens(PROMPT)).toBe(0);
    await evaluate(PROMPT);
    expect(sequences.at(-1)?.contextTokens).toEqual([1, 2, 3]);
    expect(sequences).toHaveLength(1);
  });

  it('can evaluate the prompt after a state that does not load', async () => {
    await evaluate(PROMPT);
    expect(await slot.use(() => slot.load('garbage', PROMPT))).toBe(false);
    expect(slot.reusableTokens(PROMPT)).toBe(0);
    await evaluate(PROMPT);
    await slot.settled();
    expect(sequences.map(({ isDisposed }) => isDisposed)).toEqual([true, false]);
    expect(slot.reusableTokens(PROMPT)).toBe(3);
  });

  it('fails when there is no other sequence, and is mended before it is handed on', async () => {
    sequencesLeft = 0;
    await expect(slot.use(() => slot.load('garbage', PROMPT))).rejects.toThrow('No sequences left');
    sequencesLeft = 1;
    await slot.settled();
    await evaluate(PROMPT);
  });
});
