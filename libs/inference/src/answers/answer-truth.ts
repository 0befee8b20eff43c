import { InferenceError, readErrorBody } from '../inference-error.js';
import { isJsonObject, stringifyJson, type JsonObject } from '../json.js';
import { choiceIndex, choicesOf, finishReason, PREFILL_ENDS } from './choices.js';

/** What an {@link AnswerTruth} expects. */
export interface AnswerTruthOptions {
  /** How many choices the answer has. */
  readonly choices: number;
}

/** Ends of a choice that are failures. Source: vLLM `FinishReason`; vLLM #57082 for a stream that ends with `abort`. */
const FAILURES = new Set(['abort', 'error']);
const LONGEST_WORDS = 256;

/**
 * Whether an upstream's answer is one: 200 is not success. Success is a finish reason for every choice, no error
 * object, and, of a stream, the end mark. Made for one answer; everything that it throws is a 502.
 */
export class AnswerTruth {
  readonly #finished = new Set<number>();
  #isMarked = false;

  constructor(private readonly options: AnswerTruthOptions) {}

  /**
   * Takes an event of a stream. Only those with a finish reason or an error need to be shown. Legs that only prefill are
   * never streamed: what ends those ends no choice here.
   *
   * @throws InferenceError `upstream_error_event` or `upstream_aborted`
   */
  read(event: JsonObject): void {
    this.#take(event, (reason) => !PREFILL_ENDS.has(reason));
  }

  /**
   * Takes the end mark of a stream.
   *
   * @throws InferenceError `upstream_incomplete`: vLLM sends nothing but the mark when it fails before its first token
   *   (#40986).
   */
  mark(): void {
    this.#assertFinished();
    this.#isMarked = true;
  }

  /**
   * Takes the end of a stream.
   *
   * @throws InferenceError `upstream_truncated` when there was no end mark
   */
  end(): void {
    if (!this.#isMarked) {
      throw upstreamError('upstream_truncated', 'The upstream stream ended before its end mark.');
    }
  }

  /**
   * Takes an answer that is not streamed.
   *
   * @throws InferenceError `bad_upstream_answer`, or any of a stream's but `upstream_truncated`
   */
  whole(body: unknown): void {
    if (isJsonObject(body)) assertNoError(body);
    if (!isJsonObject(body) || !Array.isArray(body['choices'])) {
      throw upstreamError('bad_upstream_answer', 'The upstream answer is not an answer of the OpenAI protocol.');
    }
    this.#take(body, () => true);
    this.#assertFinished();
  }

  #take(answer: JsonObject, isEnd: (reason: string) => boolean): void {
    assertNoError(answer);
    for (const choice of choicesOf(answer)) {
      const reason = finishReason(choice);
      if (reason === undefined) continue;
      if (FAILURES.has(reason)) throw upstreamError('upstream_aborted', 'The upstream aborted the answer.', reason);
      const index = choiceIndex(choice);
      if (isEnd(reason) && index < this.options.choices) this.#finished.add(index);
    }
  }

  #assertFinished(): void {
    for (let index = 0; index < this.options.choices; index += 1) {
      if (!this.#finished.has(index)) {
        throw upstreamError('upstream_incomplete', 'The upstream ended its answer before it was complete.');
      }
    }
  }
}

/** An answer that cannot be used; never the client's fault. What the upstream said stays in the cause. */
export function upstreamError(code: string, message: string, words?: string): InferenceError {
  const cause = words === undefined ? undefined : new Error(words.slice(0, LONGEST_WORDS));
  return new InferenceError(message, { status: 502, code, cause });
}

/** The error may be nested (`{"error":{...}}`) or flat (`{"object":"error",...}`). */
function assertNoError(body: JsonObject): void {
  const error = body['error'] ?? undefined;
  if (error === undefined && body['object'] !== 'error') return;
  const words = readErrorBody(body)?.message ?? (typeof error === 'string' ? error : stringifyJson(error ?? body));
  throw upstreamError('upstream_error_event', 'The upstream failed while it answered.', words);
}
