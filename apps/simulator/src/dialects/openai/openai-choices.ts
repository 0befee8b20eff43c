import type { FinishReason, TokenLogprob } from '../../engine/sampling.js';
import type { JsonObject } from '../../json.js';
import { chatLogprobs, completionLogprobs } from '../vllm/logprobs.js';
import type { OpenAiApi } from './openai-server.js';

/** A piece of a choice, before it has the form of an API. */
export interface Piece {
  readonly index: number;
  readonly text: string;
  /** Undefined: none were asked for. */
  readonly logprobs: readonly (TokenLogprob | { readonly id: number })[] | undefined;
  /** How long the text of the choice is before this piece. */
  readonly offset: number;
  readonly finish: FinishReason | null;
}

/** How an API writes choices. */
export interface ChoiceForm {
  readonly idPrefix: string;
  readonly object: string;
  readonly chunkObject: string;
  /** What a stream begins a choice with. */
  opening?(index: number): JsonObject;
  whole(piece: Piece): JsonObject;
  delta(piece: Piece): JsonObject;
}

const chatPart = ({ logprobs, finish }: Piece): JsonObject => ({
  // A chat has no prompt in its logprobs, whose tokens alone may have none.
  logprobs: logprobs === undefined ? null : chatLogprobs(logprobs.filter((token) => 'logprob' in token)),
  finish_reason: finish,
});

const completion = ({ index, text, logprobs, offset, finish }: Piece): JsonObject => ({
  index,
  text,
  logprobs: logprobs === undefined ? null : completionLogprobs(logprobs, offset),
  finish_reason: finish,
});

export const CHOICE_FORMS: Readonly<Record<OpenAiApi, ChoiceForm>> = {
  chat: {
    idPrefix: 'chatcmpl',
    object: 'chat.completion',
    chunkObject: 'chat.completion.chunk',
    opening: (index) => ({ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }),
    whole: (piece) => ({
      index: piece.index,
      message: { role: 'assistant', content: piece.text, reasoning_content: null, tool_calls: null },
      ...chatPart(piece),
    }),
    delta: (piece) => ({ index: piece.index, delta: { content: piece.text }, ...chatPart(piece) }),
  },
  completions: {
    idPrefix: 'cmpl',
    object: 'text_completion',
    chunkObject: 'text_completion',
    whole: completion,
    delta: completion,
  },
};
