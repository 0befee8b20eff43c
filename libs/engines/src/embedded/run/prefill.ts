import { Observable } from 'rxjs';
import type { EngineCounters } from '../engine-counters.js';
import { PREFILL_CHUNK_TOKENS } from '../llama/prefix.js';
import type { SequenceSlot } from '../llama/sequence-slot.js';

/** What a prefill did. */
export interface PrefillResult {
  /** Prompt tokens whose KV was there before. */
  readonly reusedTokens: number;
}

/**
 * Evaluates all of `prompt` but its last token. Whoever decodes evaluates that one alone, on this engine or on
 * another: so both come to the same bits, as llama.cpp rounds by the shape of a batch. Unsubscribing ends it
 * after the chunk that is under way.
 */
export function prefill(
  slot: SequenceSlot,
  prompt: readonly number[],
  counters: EngineCounters,
): Observable<PrefillResult> {
  return new Observable((subscriber) => {
    const evaluate = async (): Promise<void> => {
      const end = prompt.length - 1;
      const reusedTokens = await slot.rewindTo(prompt);
      for (let next, at = reusedTokens; at < end && !subscriber.closed; at = next) {
        next = Math.min(end, at - (at % PREFILL_CHUNK_TOKENS) + PREFILL_CHUNK_TOKENS);
        const chunk = prompt.slice(at, next);
        await counters.time('prefill', () => slot.evaluateChunk(chunk));
        counters.promptTokens.evaluated += chunk.length;
      }
      subscriber.next({ reusedTokens });
      subscriber.complete();
    };
    slot.use(evaluate).catch((error: unknown) => subscriber.error(error));
  });
}
