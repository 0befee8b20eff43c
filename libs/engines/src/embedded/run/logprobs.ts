import type { Sample } from '../llama/sequence-slot.js';

/** A candidate with its natural log probability. */
export interface TokenLogprob {
  readonly token: number;
  readonly logprob: number;
}

/** The log probabilities of one sampled token. */
export interface SampleLogprobs extends TokenLogprob {
  /** 1 is the most likely candidate. */
  readonly rank: number;
  /** The best candidates, best first. */
  readonly top: readonly TokenLogprob[];
}

/** Stands for an impossible token, since JSON has no infinity (vLLM does the same). */
const IMPOSSIBLE = -9999;

/**
 * The log probabilities that the model gave, from those that a token was sampled with: the temperature is taken
 * out again. With top_k, top_p or min_p they count among the candidates that these left over.
 *
 * @param top how many of the best candidates to tell.
 */
export function sampleLogprobs({ token, probabilities }: Sample, temperature: number, top: number): SampleLogprobs {
  const scale = temperature === 0 ? 1 : temperature;
  const logits = [...(probabilities ?? [])].map(([id, probability]) => ({
    token: id,
    logit: Math.log(probability) * scale,
  }));
  const total = Math.log(logits.reduce((sum, { logit }) => sum + Math.exp(logit), 0));
  const toLogprob = (candidate: { token: number; logit: number }): TokenLogprob => ({
    token: candidate.token,
    logprob: Math.max(IMPOSSIBLE, candidate.logit - total),
  });
  const at = logits.findIndex((candidate) => candidate.token === token);
  const own = logits[at];
  return {
    token,
    logprob: own === undefined ? IMPOSSIBLE : toLogprob(own).logprob,
    rank: at + 1,
    top: logits.slice(0, top).map(toLogprob),
  };
}
