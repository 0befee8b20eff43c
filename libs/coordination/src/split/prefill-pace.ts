import { InferenceError, type InferenceRequest } from '@baton/inference';
import { PromptSize } from '../dispatch/prompt-size.js';

/** So many prefills are remembered. */
const REMEMBERED = 64;
/** With fewer, nothing is said of how long one takes. */
const ENOUGH = 16;
/** Which of the remembered ones, from the fastest on, stands for "as fast as it can be". */
const FAST = 0.1;
/** Of the time that is left, in percent: what the prefill may use of it, so that some remains to decode. */
const PREFILL_PERCENT = 80;

/** How fast prompts have been read lately, and so whether one can be read in time. */
export class PrefillPace {
  /** In ms for each byte of prompt. */
  readonly #paces: number[] = [];
  #next = 0;
  #fastest: number | undefined;

  /** A prefill of `request` took so long. */
  record(request: InferenceRequest, tookMs: number): void {
    const { bytes } = new PromptSize(request);
    if (bytes === 0) return;
    this.#paces[this.#next] = tookMs / bytes;
    this.#next = (this.#next + 1) % REMEMBERED;
    this.#fastest = undefined;
  }

  /**
   * Refuses what would be computed for nothing: a prefill that does not end before the deadline even when it is as fast as
   * the fastest tenth of the last ones. (Those may have found their prompt in the cache, so the error is on the side of
   * trying.)
   *
   * @throws InferenceError 504 `deadline_exceeded`.
   */
  assertInTime(request: InferenceRequest): void {
    const { deadlineMs } = request;
    if (deadlineMs === undefined) return;
    const remainingMs = deadlineMs - performance.now();
    const pace = this.#paceOfFast();
    if (remainingMs > 0 && (pace === undefined || new PromptSize(request).bytes * pace < remainingMs)) return;
    throw new InferenceError('The prompt cannot be read before the deadline of the request.', {
      status: 504,
      type: 'server_error',
      code: 'deadline_exceeded',
    });
  }

  #paceOfFast(): number | undefined {
    if (this.#paces.length < ENOUGH) return undefined;
    // Sorted once for many requests: there is one new pace for each of them at most.
    return (this.#fastest ??= [...this.#paces].sort((a, b) => a - b)[Math.floor(this.#paces.length * FAST)]);
  }
}

/** When the prefill leg of `request` has to be done, so that there is time left to decode. */
export function prefillDeadline({ deadlineMs }: InferenceRequest): number | undefined {
  if (deadlineMs === undefined) return undefined;
  const now = performance.now();
  return now + (Math.max(0, deadlineMs - now) * PREFILL_PERCENT) / 100;
}
