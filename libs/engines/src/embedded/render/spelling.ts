import type { DecoderState } from '../run/incremental-decoder.js';
import { CONTEXT_TOKENS, IncrementalDecoder } from '../run/incremental-decoder.js';
import type { Vocabulary } from '../llama/vocabulary.js';
import type { TokenChoice } from './token-choice.js';

/**
 * Where the spelling of an answer begins: behind its prompt, or behind any text when the prompt is not known, for an
 * answer never begins a text (the first token of a text loses its space in some vocabularies).
 */
export function beforeAnswer(prompt: readonly number[] | undefined, vocabulary: Vocabulary): DecoderState {
  return { context: (prompt ?? vocabulary.tokenizeText('a')).slice(-CONTEXT_TOKENS), held: [] };
}

/** The text that a choice, or a piece of it, adds, and where the next piece goes on. */
export function spell(
  { tokenIds, finishReason }: Pick<TokenChoice, 'tokenIds' | 'finishReason'>,
  { context, held }: DecoderState,
  vocabulary: Vocabulary,
): { readonly text: string; readonly state: DecoderState } {
  const decoder = new IncrementalDecoder((tokens) => vocabulary.detokenize(tokens), context, held);
  // The token endpoint stops at tokens only, and the one that it stopped at is no text.
  const spelled = finishReason === 'stop' ? tokenIds.slice(0, -1) : tokenIds;
  const text = spelled.map((token) => decoder.push(token)).join('');
  return { text: finishReason === null ? text : text + decoder.flush(), state: decoder.state };
}
