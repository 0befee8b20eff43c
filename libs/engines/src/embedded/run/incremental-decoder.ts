/** Tokens of context that decide how the next ones are spelled; vLLM takes as many. */
export const CONTEXT_TOKENS = 5;
/** A character has at most four bytes, so more tokens than this without a whole one are no character at all. */
export const MOST_HELD_TOKENS = 4;
const REPLACEMENT = '\uFFFD';

/** Where a decoder stands, so that another can go on from there. */
export interface DecoderState {
  /** The last tokens that were spelled, at most {@link CONTEXT_TOKENS}. */
  readonly context: readonly number[];
  /** Tokens after them that are not a whole character yet, fewer than {@link MOST_HELD_TOKENS}. */
  readonly held: readonly number[];
}

/** Spells a list of tokens. */
export type Detokenize = (tokens: readonly number[]) => string;

/**
 * Turns tokens into text as they come. A character that is spread over several tokens is held back until it is
 * whole. Each text is the difference of two spellings, with and without the new token, because a token's spelling
 * depends on those before it (leading spaces). The method is vLLM's (`detokenize_incrementally`).
 */
export class IncrementalDecoder {
  readonly #detokenize: Detokenize;
  #context: number[];
  #held: number[];

  /**
   * @param prompt the tokens before the first one, or at least the last few of them.
   * @param held what another decoder held back, to go on in its place.
   */
  constructor(detokenize: Detokenize, prompt: readonly number[] = [], held: readonly number[] = []) {
    this.#detokenize = detokenize;
    this.#context = prompt.slice(-CONTEXT_TOKENS);
    this.#held = [...held];
  }

  get state(): DecoderState {
    return { context: this.#context, held: this.#held };
  }

  /** The text that `token` completes; empty when it completes none. */
  push(token: number): string {
    this.#held.push(token);
    const text = this.#heldText();
    if (text.endsWith(REPLACEMENT) && this.#held.length < MOST_HELD_TOKENS) return '';
    this.#context = [...this.#context, ...this.#held].slice(-CONTEXT_TOKENS);
    this.#held = [];
    return text;
  }

  /** What was held back, at the end. */
  flush(): string {
    const text = this.#held.length === 0 ? '' : this.#heldText();
    this.#held = [];
    return text;
  }

  #heldText(): string {
    const before = this.#detokenize(this.#context);
    const after = this.#detokenize([...this.#context, ...this.#held]);
    return after.startsWith(before) ? after.slice(before.length) : this.#detokenize(this.#held);
  }
}
