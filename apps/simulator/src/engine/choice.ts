import { answerStart, nextToken } from './answer-tokens.js';
import { chosenLogprob } from './logprobs.js';
import type { Digest, PrefixHash } from './prefix-hash.js';
import type { FinishReason, Sampling, Step } from './sampling.js';
import { StopText } from './stop-text.js';
import { EOS, tokenText } from './vocabulary.js';

/** Where an answer begins. */
export interface AnswerStart {
  /** What the KV cache holds before the first token. */
  readonly cache: Digest;
  readonly eosAt: number | undefined;
  /** Tokens that somebody else has generated already and that are answered first. */
  readonly firstTokens: readonly number[];
}

/** One choice of an answer, token by token. */
export class Choice {
  readonly #hash: PrefixHash;
  readonly #text: StopText;
  #tokens = 0;
  #finished = false;

  constructor(
    readonly index: number,
    readonly sampling: Sampling,
    readonly start: AnswerStart,
  ) {
    this.#hash = answerStart(start.cache, index);
    this.#text = new StopText(sampling.stop, sampling.includeStop);
  }

  get finished(): boolean {
    return this.#finished;
  }

  get tokens(): number {
    return this.#tokens;
  }

  next(): Step {
    const { sampling, start } = this;
    if (sampling.maxTokens === 0) return this.#end([], '', 'length', null, []);
    const id =
      start.firstTokens[this.#tokens] ??
      nextToken(this.#hash, this.#tokens, sampling.ignoreEos ? undefined : start.eosAt, sampling.minTokens);
    const logprobs = sampling.logprobs === undefined ? [] : [chosenLogprob(this.#hash, id, sampling.logprobs)];
    this.#tokens += 1;
    this.#hash.push(id);

    const stopsHere = this.#tokens > sampling.minTokens;
    if (id === EOS && !sampling.ignoreEos) return this.#end([id], this.#text.rest(), 'stop', null, logprobs);
    if (stopsHere && sampling.stopTokenIds.includes(id)) {
      const shown = this.#text.push(sampling.includeStop ? tokenText(id) : '');
      return this.#end([id], shown.text + this.#text.rest(), 'stop', id, logprobs);
    }
    const shown = this.#text.push(id === EOS ? '' : tokenText(id));
    if (stopsHere && shown.stop !== undefined) return this.#end([id], shown.text, 'stop', shown.stop, logprobs);
    if (this.#tokens >= sampling.maxTokens)
      return this.#end([id], shown.text + this.#text.rest(), 'length', null, logprobs);
    return { choice: this.index, tokenIds: [id], text: shown.text, logprobs, stopReason: null };
  }

  #end(
    tokenIds: readonly number[],
    text: string,
    finish: FinishReason,
    stopReason: Step['stopReason'],
    logprobs: Step['logprobs'],
  ): Step {
    this.#finished = true;
    return { choice: this.index, tokenIds, text, logprobs, finish, stopReason };
  }
}
