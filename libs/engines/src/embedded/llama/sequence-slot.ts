import type { LlamaContext, LlamaContextSequence, SequenceEvaluateOptions, Token } from 'node-llama-cpp';
import { placeInBatch } from './batch-order.js';
import type { EvaluationWatch } from './evaluation-watch.js';
import { commonPrefixLength, PREFILL_CHUNK_TOKENS } from './prefix.js';

/** A token that was sampled, with the probabilities of all candidates when they were asked for (best first). */
export interface Sample {
  readonly token: number;
  readonly probabilities?: ReadonlyMap<number, number>;
}

/**
 * One of the context's sequences, with what is known of the prompt in its KV cache.
 *
 * An evaluation cannot be interrupted. So a slot is released in two steps: its user lets it go at once, and it is
 * handed on when `settled` says that nothing runs in it any more.
 */
export class SequenceSlot {
  readonly #context: LlamaContext;
  readonly #watch: EvaluationWatch;
  #sequence: LlamaContextSequence;
  #prefilled: readonly number[] = [];
  #pending: Promise<unknown> = Promise.resolve();
  #isBroken = false;

  constructor(context: LlamaContext, watch: EvaluationWatch) {
    this.#context = context;
    this.#watch = watch;
    this.#sequence = context.getSequence();
  }

  /** Runs `work` in this slot; the slot is not handed on before it has ended. */
  use<T>(work: () => Promise<T>): Promise<T> {
    const result = work();
    this.#pending = Promise.allSettled([this.#pending, result]);
    return result;
  }

  /** Resolves when nothing runs in this slot and it can be used again. */
  async settled(): Promise<void> {
    await this.#pending;
    if (!this.#isBroken || this.#context.disposed) return;
    this.#prefilled = [];
    try {
      await this.#sequence.dispose();
      this.#sequence = this.#context.getSequence();
      this.#isBroken = false;
    } catch {
      // The next request finds the slot broken and fails; then this is tried again.
    }
  }

  /**
   * How many leading tokens of `prompt` need no evaluation here. Only whole chunks count, and the rest of a prompt
   * when it is this very prompt: such tokens were evaluated in batches of the shape that they would have now, so
   * using them changes no bit of what follows.
   */
  reusableTokens(prompt: readonly number[]): number {
    const end = prompt.length - 1;
    const shared = Math.min(end, commonPrefixLength(this.#prefilled, prompt));
    if (shared === end && this.#prefilled.length === end) return end;
    return shared - (shared % PREFILL_CHUNK_TOKENS);
  }

  /** Drops all that does not belong to `prompt` and returns how many of its tokens are there already. */
  async rewindTo(prompt: readonly number[]): Promise<number> {
    // Such models (recurrent, sliding window) cannot drop their last tokens without evaluating others again.
    const keep = this.#sequence.needsCheckpoints ? 0 : this.reusableTokens(prompt);
    this.#prefilled = prompt.slice(0, keep);
    const end = this.#sequence.nextTokenIndex;
    if (end > keep) await this.#guard(this.#sequence.eraseContextTokenRanges([{ start: keep, end }]));
    return keep;
  }

  /** Evaluates the next chunk of a prompt. */
  async evaluateChunk(tokens: readonly number[]): Promise<void> {
    await this.#guard(this.#sequence.evaluateWithoutGeneratingNewTokens(tokens as Token[]));
    this.#prefilled = [...this.#prefilled, ...tokens];
  }

  /** Evaluates `token`, samples the next one, evaluates that, and so on, as far as the samples are read. */
  async *sample(token: number, options: SequenceEvaluateOptions, probabilities: boolean): AsyncGenerator<Sample> {
    const samples = this.#sequence.evaluateWithMetadata(
      [token as Token],
      { probabilities },
      { ...options, evaluationPriority: placeInBatch(this.#sequence) },
    );
    try {
      for (;;) {
        const next = await this.#guard(samples.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await samples.return();
    }
  }

  /** Writes the KV state to `file`. @returns its length in bytes. */
  async save(file: string): Promise<number> {
    return (await this.#guard(this.#sequence.saveStateToFile(file))).fileSize;
  }

  /**
   * Loads the KV state of all but the last token of `prompt`. The file must be whole: llama.cpp ends the process
   * when it is cut short.
   *
   * @returns whether the state is that of `prompt`. When not, the slot has nothing of `prompt`, and can be used.
   */
  async load(file: string, prompt: readonly number[]): Promise<boolean> {
    this.#prefilled = [];
    try {
      await this.#watch.during(this.#sequence.loadStateFromFile(file, { acceptRisk: true }));
      const { contextTokens } = this.#sequence;
      const isPrompt =
        contextTokens.length === prompt.length - 1 &&
        commonPrefixLength(contextTokens, prompt) === contextTokens.length;
      if (isPrompt) this.#prefilled = contextTokens;
      return isPrompt;
    } catch {
      // A load that failed leaves a sequence in which nothing can be evaluated, and that is what comes next.
      const renewed = this.#sequence.dispose().then(() => this.#context.getSequence());
      this.#sequence = await this.#guard(renewed);
      return false;
    }
  }

  async #guard<T>(evaluation: Promise<T>): Promise<T> {
    try {
      return await this.#watch.during(evaluation);
    } catch (error) {
      this.#isBroken = true;
      throw error;
    }
  }
}
