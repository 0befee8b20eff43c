import { PrefixHash } from './prefix-hash.js';
import type { TokenLogprob } from './sampling.js';
import { FIRST_WORD } from './vocabulary.js';

/** The logprob of the token that the model chose. */
export function chosenLogprob(hash: PrefixHash, id: number, alternatives: number): TokenLogprob {
  const best = { id, logprob: -(1 + (hash.number(1) % 997)) / 1_000, rank: 1 };
  const top = Array.from({ length: alternatives }, (_, rank) =>
    rank === 0 ? best : alternative(hash, best.logprob, rank),
  );
  return { ...best, top };
}

/** The logprobs of a prompt's tokens; the first has none. */
export function promptLogprobs(ids: readonly number[], alternatives: number): (TokenLogprob | null)[] {
  const hash = new PrefixHash();
  return ids.map((id, index) => {
    const rank = 1 + (hash.number(2) % 50);
    const given = { id, logprob: -(1_000 + (hash.number(3) % 8_999)) / 1_000, rank };
    const top = Array.from({ length: alternatives }, (_, at) => alternative(hash, 0, at));
    hash.push(id);
    return index === 0 ? null : { ...given, top };
  });
}

const alternative = (hash: PrefixHash, below: number, rank: number): TokenLogprob['top'][number] => ({
  id: rank === 0 ? hash.nextWord() : Math.max(FIRST_WORD, hash.nextWord(rank)),
  logprob: below - (1 + rank * 250) / 1_000,
  rank: rank + 1,
});
