import {
  isJsonObject,
  upstreamError,
  type InferenceError,
  type InferenceRequest,
  type JsonObject,
} from '@baton/inference';
import type { AnswerTranslator } from './dialect.js';
import { usageWishes } from './generate-request.js';

/** What one answer, or one event, of a server's own token endpoint says about one choice. */
export interface GeneratedPiece {
  /** The server's id of the request, if it has one. */
  readonly id?: string;
  readonly model?: string;
  /** Of the choice; undefined when the server numbers none. */
  readonly index?: number;
  /** The tokens that are new with this piece. */
  readonly tokenIds: readonly unknown[];
  /** Null while it goes on. */
  readonly finishReason: string | null;
  readonly stopReason?: unknown;
  readonly logprobs?: JsonObject;
  readonly promptLogprobs?: readonly unknown[];
  readonly promptTokens: number;
  /** Of this choice so far. */
  readonly completionTokens: number;
  readonly cachedTokens?: number;
}

/** Reads pieces of one answer; undefined for what is none (an error object, a progress report). */
export type PieceReader = (data: JsonObject) => GeneratedPiece | undefined;

interface Counts {
  promptTokens: number;
  cachedTokens: number | undefined;
  readonly completionTokens: Map<number, number>;
}

/**
 * Writes what a {@link PieceReader} reads in the form of vLLM's token endpoint.
 * Source: vLLM `token_in_token_out/protocol.py`, GenerateResponse and its stream form.
 */
export class GenerateTranslator implements AnswerTranslator {
  readonly #counts: Counts = { promptTokens: 0, cachedTokens: undefined, completionTokens: new Map() };
  readonly #finished = new Set<number>();
  readonly #usage: ReturnType<typeof usageWishes>;

  constructor(
    private readonly leg: InferenceRequest,
    private readonly choices: number,
    private readonly read: PieceReader,
  ) {
    this.#usage = usageWishes(leg);
  }

  whole(body: unknown): JsonObject {
    const items: readonly unknown[] = Array.isArray(body) ? body : [body];
    const pieces = items.map((item) => (isJsonObject(item) ? this.read(item) : undefined));
    const [first] = pieces;
    if (first === undefined || pieces.includes(undefined)) return isJsonObject(body) ? body : {};
    const read = pieces.filter((piece) => piece !== undefined);
    const { model } = this.leg.body;
    return {
      request_id: first.id ?? this.leg.id,
      model: typeof model === 'string' ? model : (first.model ?? ''),
      created: Math.floor(Date.now() / 1000),
      choices: read.map((piece, position) => this.#choice(piece, piece.index ?? position)),
      usage: this.#usageSoFar(),
      ...(first.promptLogprobs ? { prompt_logprobs: first.promptLogprobs } : {}),
    };
  }

  event(data: JsonObject): readonly JsonObject[] {
    if (data['error'] !== undefined) return [data];
    const piece = this.read(data);
    if (piece === undefined) return [];
    const request_id = piece.id ?? this.leg.id;
    const choice = this.#choice(piece, piece.index ?? 0);
    const usage = this.#usageSoFar();
    const isSilent = piece.tokenIds.length === 0 && piece.finishReason === null;
    const delta = { request_id, choices: [choice], ...(this.#usage.inEach ? { usage } : {}) };
    const isLast = piece.finishReason !== null && this.isWhole();
    return [...(isSilent ? [] : [delta]), ...(isLast && this.#usage.atEnd ? [{ request_id, choices: [], usage }] : [])];
  }

  isWhole(): boolean {
    return this.#finished.size >= this.choices;
  }

  #choice(piece: GeneratedPiece, index: number): JsonObject {
    // What is kept of each choice is kept for those that were asked for.
    if (!(index >= 0 && index < this.choices)) {
      throw upstreamError('bad_upstream_answer', 'The engine server answered with a choice that was not asked for.');
    }
    this.#counts.promptTokens = piece.promptTokens;
    this.#counts.cachedTokens = piece.cachedTokens;
    this.#counts.completionTokens.set(index, piece.completionTokens);
    if (piece.finishReason !== null) this.#finished.add(index);
    return {
      index,
      token_ids: piece.tokenIds,
      finish_reason: piece.finishReason,
      logprobs: piece.logprobs ?? null,
      ...(piece.stopReason === undefined || piece.stopReason === null ? {} : { stop_reason: piece.stopReason }),
    };
  }

  #usageSoFar(): JsonObject {
    const { promptTokens, cachedTokens, completionTokens } = this.#counts;
    const completion = [...completionTokens.values()].reduce((sum, count) => sum + count, 0);
    return {
      prompt_tokens: promptTokens,
      completion_tokens: completion,
      total_tokens: promptTokens + completion,
      ...(cachedTokens === undefined ? {} : { prompt_tokens_details: { cached_tokens: cachedTokens } }),
    };
  }
}

/** One token in the logprobs of the token endpoint. Source: vLLM #58181. */
export function tokenLogprob(
  token: { readonly token_id: unknown; readonly logprob: unknown },
  top: readonly { readonly token_id: unknown; readonly logprob: unknown }[],
): JsonObject {
  const rank = top.findIndex((other) => other.token_id === token.token_id) + 1;
  return {
    ...token,
    rank: rank === 0 ? null : rank,
    top_logprobs: top.map((other, index) => ({ ...other, rank: index + 1 })),
  };
}

/** A server gave no token ids, although it was asked for them: too old, or started without them. */
export function withoutTokenIds(): InferenceError {
  return upstreamError('bad_upstream_answer', 'The engine server answered without token ids.');
}

/** `value` when it is a number, else 0. */
export function countOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
