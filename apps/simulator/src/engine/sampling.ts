/** How an answer is made, in the simulator's own words; a dialect reads them from its fields. */
export interface Sampling {
  readonly n: number;
  readonly maxTokens: number;
  readonly minTokens: number;
  readonly ignoreEos: boolean;
  readonly stop: readonly string[];
  readonly stopTokenIds: readonly number[];
  /** The stop string or token stays in the text. */
  readonly includeStop: boolean;
  /** How many alternatives the logprobs of each token list; undefined: no logprobs. */
  readonly logprobs?: number;
}

export const PLAIN_SAMPLING: Sampling = {
  n: 1,
  maxTokens: 16,
  minTokens: 0,
  ignoreEos: false,
  stop: [],
  stopTokenIds: [],
  includeStop: false,
};

export type FinishReason = 'stop' | 'length' | 'abort';

/** A token, and how likely it was; the same in every server that has seen the same tokens before it. */
export interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
  readonly rank: number;
  readonly top: readonly { readonly id: number; readonly logprob: number; readonly rank: number }[];
}

/** One step of one choice. The last step of a choice has its finish reason. */
export interface Step {
  readonly choice: number;
  /** Usually one; none when the choice was aborted. */
  readonly tokenIds: readonly number[];
  /** What may be shown: less than the tokens' text while a stop string may have begun. */
  readonly text: string;
  readonly logprobs: readonly TokenLogprob[];
  readonly finish?: FinishReason;
  /** The stop string or stop token that ended the choice. */
  readonly stopReason: string | number | null;
}
