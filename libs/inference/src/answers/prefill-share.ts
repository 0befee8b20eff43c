import type { JsonObject } from '../json.js';

/** What of the prefill leg's answer belongs in the client's answer; the rest comes from the decode leg. */
export interface PrefillShare {
  /** P's `usage`: prompt tokens and cached tokens are its to count. */
  readonly usage?: JsonObject;
  /** `prompt_logprobs` as P gave them: D cannot compute them (vLLM #50792). */
  readonly promptLogprobs?: unknown;
  /** What the answer begins with and D does not repeat: an echoed prompt, the first token of LMCache. */
  readonly lead?: AnswerLead;
}

/** The beginning of the answer's one choice, in the form of the api. */
export interface AnswerLead {
  /** Of completions and chat. */
  readonly text?: string;
  /** Of the token endpoint. */
  readonly tokenIds?: readonly number[];
  /** In the form of the api's choice. */
  readonly logprobs?: JsonObject;
  /** Tokens of the lead that count as completion: 0 for an echo, 1 for a first token. */
  readonly completionTokens: number;
}
