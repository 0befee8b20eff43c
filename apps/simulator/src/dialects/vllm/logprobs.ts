import type { TokenLogprob } from '../../engine/sampling.js';
import { tokenText } from '../../engine/vocabulary.js';
import type { JsonObject } from '../../json.js';

const bytesOf = (text: string): number[] => [...Buffer.from(text)];

const chatToken = ({ id, logprob }: { id: number; logprob: number }): JsonObject => {
  const token = tokenText(id);
  return { token, logprob, bytes: bytesOf(token) };
};

/** Logprobs as chat has them. */
export const chatLogprobs = (tokens: readonly TokenLogprob[]): JsonObject => ({
  content: tokens.map((token) => ({ ...chatToken(token), top_logprobs: token.top.map(chatToken) })),
});

/** Logprobs as completions have them; `offset` is how long the text before them is. */
export function completionLogprobs(
  tokens: readonly (TokenLogprob | { readonly id: number })[],
  offset: number,
): JsonObject {
  let at = offset;
  const texts = tokens.map(({ id }) => tokenText(id));
  return {
    text_offset: texts.map((text) => (at += text.length) - text.length),
    token_logprobs: tokens.map((token) => ('logprob' in token ? token.logprob : null)),
    tokens: texts,
    top_logprobs: tokens.map((token) =>
      'logprob' in token
        ? Object.fromEntries([...token.top, token].map(({ id, logprob }) => [tokenText(id), logprob]))
        : null,
    ),
  };
}

/** Logprobs as the token endpoint has them. */
export const tokenLogprobs = (tokens: readonly TokenLogprob[]): JsonObject => ({
  content: tokens.map(({ id, logprob, rank, top }) => ({
    token_id: id,
    logprob,
    rank,
    top_logprobs: top.map((other) => ({ token_id: other.id, logprob: other.logprob, rank: other.rank })),
  })),
});

/** `prompt_logprobs`: for each token of the prompt but the first, itself and the likeliest others by their ids. */
export const promptLogprobsJson = (tokens: readonly (TokenLogprob | null)[]): (JsonObject | null)[] =>
  tokens.map((token) =>
    token === null
      ? null
      : Object.fromEntries(
          [...token.top, token].map(({ id, logprob, rank }) => [
            String(id),
            { logprob, rank, decoded_token: tokenText(id) },
          ]),
        ),
  );
