import { IncrementalDecoder } from './incremental-decoder.js';
import { sampleLogprobs, type SampleLogprobs } from './logprobs.js';
import type { RequestPlan } from '../request/request-plan.js';
import type { Sample } from '../llama/sequence-slot.js';
import { StopStrings } from './stop-strings.js';
import type { Vocabulary } from '../llama/vocabulary.js';

/** Why a choice ended. Source: OpenAI API. */
export type FinishReason = 'stop' | 'length';

/** What one or more sampled tokens add to a choice. */
export interface ChoiceDelta {
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly logprobs: readonly SampleLogprobs[];
  /** Set on the last delta of a choice. */
  readonly finishReason: FinishReason | null;
}

/** Turns the samples of one choice into the deltas of its answer, and says when it is finished. */
export class ChoiceWriter {
  readonly #plan: RequestPlan;
  readonly #vocabulary: Vocabulary;
  readonly #decoder: IncrementalDecoder;
  readonly #stops: StopStrings;
  readonly #sampled: number[] = [];
  #pending: Sample[] = [];
  #finishReason: FinishReason | null = null;

  /** @param hasText whether the answer is made of text; else of tokens. */
  constructor(
    plan: RequestPlan,
    vocabulary: Vocabulary,
    private readonly hasText: boolean,
  ) {
    this.#plan = plan;
    this.#vocabulary = vocabulary;
    this.#decoder = new IncrementalDecoder((tokens) => vocabulary.detokenize(tokens), plan.prompt);
    this.#stops = new StopStrings(plan.stop.strings);
  }

  /** All tokens sampled so far. */
  get sampled(): readonly number[] {
    return this.#sampled;
  }

  get isFinished(): boolean {
    return this.#finishReason !== null;
  }

  /** Takes the next sample. @returns what can go to the client now; undefined while all is held back. */
  push(sample: Sample): ChoiceDelta | undefined {
    this.#sampled.push(sample.token);
    this.#pending.push(sample);
    const text = this.#textOf(sample.token);
    if (this.#finishReason === null && this.#sampled.length >= this.#plan.maxTokens) this.#finishReason = 'length';
    const rest = this.#finishReason === 'stop' ? '' : this.isFinished ? this.#flush() : '';
    return this.#delta(text + rest);
  }

  #textOf(token: number): string {
    const mayStop = this.#sampled.length >= this.#plan.minTokens;
    const isEnd = this.#vocabulary.isEnd(token) && !this.#plan.stop.ignoreEnd;
    if (mayStop && (isEnd || this.#plan.stop.tokenIds.includes(token))) {
      const text = this.hasText ? this.#flush() : '';
      this.#finishReason ??= 'stop';
      return text;
    }
    return this.hasText ? this.#check(this.#decoder.push(token), mayStop) : '';
  }

  #check(text: string, mayStop: boolean): string {
    if (!mayStop) return text;
    const checked = this.#stops.push(text);
    if (checked.isStopped) this.#finishReason = 'stop';
    return checked.text;
  }

  /** Text that was held back; a stop string in it still counts. */
  #flush(): string {
    if (!this.hasText) return '';
    const checked = this.#stops.push(this.#decoder.flush());
    if (checked.isStopped) {
      this.#finishReason = 'stop';
      return checked.text;
    }
    return checked.text + this.#stops.flush();
  }

  #delta(text: string): ChoiceDelta | undefined {
    if (text === '' && this.hasText && !this.isFinished) return undefined;
    const samples = this.#pending;
    this.#pending = [];
    const { logprobs, sampling } = this.#plan;
    return {
      text,
      tokenIds: samples.map(({ token }) => token),
      logprobs:
        logprobs === undefined ? [] : samples.map((sample) => sampleLogprobs(sample, sampling.temperature, logprobs)),
      finishReason: this.#finishReason,
    };
  }
}
