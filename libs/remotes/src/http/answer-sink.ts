import { bytesPart, completeEventsLength, endsWithDone, InferenceError, type ResponsePart } from '@baton/inference';
import type { Subscriber } from 'rxjs';

/** Takes the body of one upstream answer, chunk by chunk. */
export interface AnswerSink {
  data(chunk: Buffer): void;
  /** The body is complete. */
  end(): void;
}

const NOTHING = Buffer.alloc(0);
const COLON = 0x3a;
/** The start of a stream that is over before its first token: an error event, or nothing but the end mark. */
const NO_ANSWER = /^data: ?(\[DONE\]|\{\s*"error")/;
const LONGEST_START = 32;

/**
 * Forwards server-sent events as they came, but only whole ones: an event that the upstream did not finish is
 * never begun on the client's side, so an error event can always follow. A stream without the end mark
 * (`data: [DONE]`) was cut short and fails.
 */
export class EventStreamSink implements AnswerSink {
  #unfinished: Buffer = NOTHING;
  #last: Buffer = NOTHING;
  #hasBegun = false;

  constructor(
    private readonly subscriber: Subscriber<ResponsePart>,
    private readonly maxEventBytes: number,
  ) {}

  data(chunk: Buffer): void {
    const bytes = this.#unfinished.length === 0 ? chunk : Buffer.concat([this.#unfinished, chunk]);
    const length = completeEventsLength(bytes);
    this.#unfinished = length === bytes.length ? NOTHING : bytes.subarray(length);
    if (this.#unfinished.length > this.maxEventBytes) {
      this.subscriber.error(badAnswer(`An upstream event is longer than ${this.maxEventBytes} bytes.`));
    } else if (length > 0) {
      const events = bytes.subarray(0, length);
      // Before its first token nothing is lost: the failure is one that somebody else may make good.
      if (!this.#hasBegun && NO_ANSWER.test(events.toString('latin1', 0, LONGEST_START))) {
        return this.subscriber.error(badAnswer('The upstream failed before its first token.', 'upstream_failed'));
      }
      this.#hasBegun ||= events[0] !== COLON;
      // A comment (a keep-alive) behind the end mark does not take the mark back.
      if (events[0] !== COLON || !endsWithDone(this.#last)) this.#last = events;
      this.subscriber.next(bytesPart(events));
    }
  }

  end(): void {
    if (endsWithDone(this.#last)) this.subscriber.complete();
    else this.subscriber.error(badAnswer('The upstream stream ended before its end mark.', 'upstream_truncated'));
  }
}

/** Keeps a whole answer, up to a bound, and hands it over at its end. */
export class WholeBodySink implements AnswerSink {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  constructor(
    private readonly subscriber: Subscriber<ResponsePart>,
    private readonly maxBytes: number,
    private readonly finish: (body: Buffer) => void,
  ) {}

  data(chunk: Buffer): void {
    this.#length += chunk.length;
    if (this.#length > this.maxBytes) {
      this.subscriber.error(badAnswer(`The upstream answer is longer than ${this.maxBytes} bytes.`));
    } else {
      this.#chunks.push(chunk);
    }
  }

  end(): void {
    this.finish(Buffer.concat(this.#chunks, this.#length));
  }
}

/** The upstream's answer cannot be used; never the client's fault. */
export function badAnswer(message: string, code = 'bad_upstream_answer'): InferenceError {
  return new InferenceError(message, { status: 502, code });
}
