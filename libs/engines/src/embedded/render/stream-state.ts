import { invalidRequest, type JsonObject } from '@baton/inference';
import { BodyFields } from '../request/body-fields.js';
import { readTokenIds } from '../request/token-ids.js';
import { CONTEXT_TOKENS, MOST_HELD_TOKENS, type DecoderState } from '../run/incremental-decoder.js';

/** Where one choice of a streamed answer stands between two chunks. */
export interface StreamState {
  readonly spelling: DecoderState;
  /** Whether a chunk of the choice has been given (the first one of a chat tells the role). */
  readonly hasBegun: boolean;
  /** Unix time in seconds, the same in all chunks. */
  readonly created: number;
  /** Length of the text before the next chunk, as `text_offset` counts it. */
  readonly textOffset: number;
}

/**
 * The state as the caller keeps it. Its size does not grow with the answer:
 * `context`: the last tokens that were spelled, at most 5;
 * `held`: tokens of a character that is not whole yet, at most 3;
 * `begun`, `created`, `text_offset`: as in {@link StreamState}.
 */
export function writeStreamState({ spelling, hasBegun, created, textOffset }: StreamState): JsonObject {
  return { context: spelling.context, held: spelling.held, begun: hasBegun, created, text_offset: textOffset };
}

/** @throws InferenceError 400 that names the field at fault, `stream_state.held[1]`. */
export function readStreamState(state: JsonObject, vocabularySize: number): StreamState {
  const fields = new BodyFields(state, 'stream_state.');
  const tokens = (key: string, most: number): number[] => {
    const list = fields.array(key) ?? [];
    const path = fields.path(key);
    if (list.length > most) throw invalidRequest(`${path} must have at most ${most} items.`, path);
    return readTokenIds(list, path, vocabularySize);
  };
  const count = (key: string): number => fields.number(key, { min: 0, integer: true }) ?? 0;
  return {
    spelling: { context: tokens('context', CONTEXT_TOKENS), held: tokens('held', MOST_HELD_TOKENS - 1) },
    hasBegun: fields.boolean('begun') ?? false,
    created: count('created'),
    textOffset: count('text_offset'),
  };
}
