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

/** Prompts shorter than this part of another say nothing of how long that takes: most of their time is none of reading. */
const SIMILAR = 0.25;

/** How fast prompts have been read lately, and so whether one can be read in time. */
export class PrefillPace {
  readonly #prefills: { readonly bytes: number; readonly tookMs: number }[] = [];
  #next = 0;

  /** A prefill of `request` took so long. */
  record(request: InferenceRequest, tookMs: number): void {
    this.#prefills[this.#next] = { bytes: new PromptSize(request).bytes, tookMs };
    this.#next = (this.#next + 1) % REMEMBERED;
  }

  /**
   * Refuses what would be computed for nothing: a prefill that does not end before the deadline even at the pace of the
   * fastest tenth of the last ones of similar size. (Those may have found their prompt in the cache, so the error is on the
   * side of trying.)
   *
   * @throws InferenceError 504 `deadline_exceeded`.
   */
  assertInTime(request: InferenceRequest): void {
    const { deadlineMs } = request;
    if (deadlineMs === undefined) return;
    const remainingMs = deadlineMs - performance.now();
    if (remainingMs > 0 && this.#leastMs(new PromptSize(request).bytes) < remainingMs) return;
    throw new InferenceError('The prompt cannot be read before the deadline of the request.', {
      status: 504,
      type: 'server_error',
      code: 'deadline_exceeded',
    });
  }

  /** How long it takes at least to read so much; 0 when nothing like it was read. */
  #leastMs(bytes: number): number {
    const paces = this.#prefills
      .filter((each) => each.bytes > 0 && each.bytes >= bytes * SIMILAR)
      .map((each) => each.tookMs / each.bytes);
    if (paces.length < ENOUGH) return 0;
    return bytes * (paces.sort((a, b) => a - b)[Math.floor(paces.length * FAST)] ?? 0);
  }
}

/** When the prefill leg of `request` has to be done, so that there is time left to decode. */
export function prefillDeadline(
  { deadlineMs }: Pick<InferenceRequest, 'deadlineMs'>,
  now = performance.now(),
): number | undefined {
  if (deadlineMs === undefined) return undefined;
  return now + (Math.max(0, deadlineMs - now) * PREFILL_PERCENT) / 100;
}
