import { finishReason, isJsonObject, type JsonObject } from '@baton/inference';
import { countOf, tokenLogprob, withoutTokenIds, type GeneratedPiece } from './generate-translator.js';

/** What was read of one choice. */
interface Seen {
  tokens: readonly unknown[];
  count: number;
  logprobs: number;
}

/**
 * Reads the answers of SGLang's `/generate`. Its stream repeats the whole output in each event, unless the server was
 * started to send what is new only; which of the two it is shows in the second event of a choice.
 * Source: SGLang `srt/managers/tokenizer_manager.py` (`incremental_streaming_output`).
 */
export class SglangPieces {
  readonly #seen = new Map<unknown, Seen>();
  #isCumulative: boolean | undefined;

  constructor(private readonly isStream: boolean) {}

  read(data: JsonObject): GeneratedPiece | undefined {
    const meta = data['meta_info'];
    if (!isJsonObject(meta)) return undefined;
    const output = data['output_ids'];
    if (!Array.isArray(output)) throw withoutTokenIds();
    const index = typeof data['index'] === 'number' ? data['index'] : undefined;
    const { tokenIds, logprobs } = this.#newOf(index, output, meta);
    const finish = meta['finish_reason'];
    return {
      index,
      tokenIds,
      finishReason: finishReason(meta) ?? null,
      stopReason: isJsonObject(finish) ? finish['matched'] : undefined,
      logprobs,
      promptLogprobs: promptLogprobs(meta),
      promptTokens: countOf(meta['prompt_tokens']),
      completionTokens: countOf(meta['completion_tokens'] ?? output.length),
      ...(typeof meta['id'] === 'string' ? { id: meta['id'] } : {}),
      ...(typeof meta['cached_tokens'] === 'number' ? { cachedTokens: meta['cached_tokens'] } : {}),
    };
  }

  #newOf(index: unknown, output: readonly unknown[], meta: JsonObject): Pick<GeneratedPiece, 'tokenIds' | 'logprobs'> {
    if (!this.isStream) return { tokenIds: output, logprobs: contentOf(outputLogprobs(meta)) };
    const seen = this.#seen.get(index) ?? { tokens: [], count: 0, logprobs: 0 };
    if (seen.count > 0) this.#isCumulative ??= isCumulative(output, seen, meta['completion_tokens']);
    const repeats = seen.count > 0 && this.#isCumulative === true;
    const tokenIds = repeats ? output.slice(seen.count) : output;
    const fresh = outputLogprobs(meta, repeats ? seen.logprobs : 0);
    this.#seen.set(index, {
      // Nothing of the answer is kept when its form is known: it may be long, and its client slow.
      tokens: this.#isCumulative === undefined ? output : [],
      count: seen.count + tokenIds.length,
      logprobs: seen.logprobs + (fresh?.length ?? 0),
    });
    return { tokenIds, logprobs: contentOf(fresh) };
  }
}

/** The server's own count decides; without it, whether what was seen comes again. */
function isCumulative(output: readonly unknown[], seen: Seen, completionTokens: unknown): boolean {
  if (output.length < seen.count) return false;
  if (typeof completionTokens === 'number' && completionTokens > seen.count) {
    if (output.length === completionTokens) return true;
    if (output.length === completionTokens - seen.count) return false;
  }
  return seen.tokens.every((token, at) => output[at] === token);
}

function contentOf(tokens: readonly JsonObject[] | undefined): JsonObject | undefined {
  return tokens === undefined ? undefined : { content: tokens };
}

/** `[logprob, token id, text]` each. Source: SGLang `srt/managers/logprob_ops.py`. */
function outputLogprobs(meta: JsonObject, from = 0): readonly JsonObject[] | undefined {
  const { output_token_logprobs: tokens, output_top_logprobs: top } = meta;
  if (!Array.isArray(tokens)) return undefined;
  return tokens.slice(from).map((entry: unknown, at) => tokenLogprob(pairOf(entry), topOf(top, from + at)));
}

/** As vLLM gives them: null for the first token, then an object by token id. */
function promptLogprobs(meta: JsonObject): readonly unknown[] | undefined {
  const { input_token_logprobs: tokens, input_top_logprobs: top } = meta;
  if (!Array.isArray(tokens) || tokens.length === 0) return undefined;
  return tokens.map((entry: unknown, at) => {
    const own = pairOf(entry);
    if (own.logprob === null) return null;
    const ranked = topOf(top, at);
    const all = ranked.some(({ token_id }) => token_id === own.token_id) ? ranked : [...ranked, own];
    return Object.fromEntries(
      all.map(({ token_id, logprob }, rank) => [
        String(token_id),
        { logprob, rank: rank < ranked.length ? rank + 1 : null, decoded_token: null },
      ]),
    );
  });
}

function topOf(top: unknown, at: number): { token_id: unknown; logprob: unknown }[] {
  const entries: unknown = Array.isArray(top) ? top[at] : undefined;
  return Array.isArray(entries) ? entries.map(pairOf) : [];
}

function pairOf(entry: unknown): { token_id: unknown; logprob: unknown } {
  const list: readonly unknown[] = Array.isArray(entry) ? entry : [];
  const [logprob, token_id] = list;
  return { token_id: token_id ?? null, logprob: logprob ?? null };
}
