import {
  bytesPart,
  completeEventsLength,
  GrowingBytes,
  SSE_DONE,
  TruthfulEvents,
  upstreamError,
  type ResponsePart,
} from '@baton/inference';
import type { Subscriber } from 'rxjs';
import type { AnswerTranslator } from '../dialects/dialect.js';
import { TranslatedEvents } from './translated-events.js';

/** Takes the body of one upstream answer, chunk by chunk. */
export interface AnswerSink {
  /** What the upstream's last word was, although its body goes on; undefined while more is to come. */
  readonly lastWord: 'success' | 'failure' | undefined;
  /** @returns whether the answer has got on: comments of a stream keep only its connection alive. */
  data(chunk: Buffer): boolean;
  /** The body is complete. */
  end(): void;
}

/** How an answer of an engine is read. */
export interface AnswerReading {
  /** How many choices it must have. */
  readonly choices: number;
  /** Undefined for a server whose answers are in the field's form. */
  readonly translator?: AnswerTranslator | undefined;
}

const NOTHING = Buffer.alloc(0);
const FIRST_OF_DATA = 'd'.charCodeAt(0);
/** A blank line, without its last byte, may be at the end of what came before. */
const LONGEST_SEAM = 3;

/**
 * Forwards server-sent events as they came (or translated), but only whole ones: an event that the upstream did not
 * finish is never begun on the client's side, so an error event can always follow. What the events say is judged by
 * {@link TruthfulEvents}: a stream that failed, or was cut short, fails here too. It completes at its end mark: some servers
 * leave the connection open behind it.
 */
export class EventStreamSink implements AnswerSink {
  #unfinished = new GrowingBytes();
  /** The last bytes of what is unfinished: a blank line may begin in them. */
  #tail: Buffer = NOTHING;
  #lastWord: AnswerSink['lastWord'];
  readonly #truth: TruthfulEvents;
  readonly #translated: TranslatedEvents | undefined;

  constructor(
    private readonly subscriber: Subscriber<ResponsePart>,
    private readonly maxEventBytes: number,
    reading: AnswerReading,
  ) {
    this.#truth = new TruthfulEvents({ choices: reading.choices });
    this.#translated = reading.translator && new TranslatedEvents(reading.translator);
  }

  get lastWord(): AnswerSink['lastWord'] {
    return this.#lastWord;
  }

  data(chunk: Buffer): boolean {
    if (this.#unfinished.length === 0 && completeEventsLength(chunk) === chunk.length) return this.#takeEvents(chunk);
    // Looked at together with the last bytes only: an event may come in any number of pieces.
    const seam = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    this.#unfinished.append(chunk);
    this.#tail = seam.subarray(-LONGEST_SEAM);
    const hasData = completeEventsLength(seam) > 0 && this.#takeWhole();
    if (this.#unfinished.length > this.maxEventBytes && !this.subscriber.closed) {
      this.subscriber.error(
        upstreamError('bad_upstream_answer', `An upstream event is longer than ${this.maxEventBytes} bytes.`),
      );
    }
    return hasData;
  }

  end(): void {
    if (this.#translated?.lacksEndMark === true) this.#judge(Buffer.from(SSE_DONE));
    if (this.subscriber.closed) return;
    const error = this.#truth.end();
    if (error === undefined) this.subscriber.complete();
    else this.subscriber.error(error);
  }

  #takeWhole(): boolean {
    const bytes = this.#unfinished.take();
    const length = completeEventsLength(bytes);
    this.#unfinished = new GrowingBytes();
    if (length < bytes.length) this.#unfinished.append(bytes.subarray(length));
    else this.#tail = NOTHING;
    return this.#takeEvents(bytes.subarray(0, length));
  }

  #takeEvents(events: Buffer): boolean {
    let translated: Buffer;
    try {
      translated = this.#translated === undefined ? events : this.#translated.take(events);
    } catch (error) {
      this.subscriber.error(error);
      return false;
    }
    if (translated.length > 0) this.#judge(translated);
    return bringsData(events);
  }

  #judge(events: Buffer): void {
    const { forward, error } = this.#truth.take(events);
    // Before the last part goes on: whoever takes it may leave at once.
    if (error !== undefined) this.#lastWord = 'failure';
    else if (this.#truth.isOver) this.#lastWord = 'success';
    if (forward.length > 0) this.subscriber.next(bytesPart(forward));
    if (error !== undefined) this.subscriber.error(error);
    else if (this.#truth.isOver) this.subscriber.complete();
  }
}

/** Keeps a whole answer, up to a bound, and hands it over at its end. */
export class WholeBodySink implements AnswerSink {
  readonly lastWord = undefined;
  readonly #bytes = new GrowingBytes();

  constructor(
    private readonly subscriber: Subscriber<ResponsePart>,
    private readonly maxBytes: number,
    private readonly finish: (body: Buffer) => void,
  ) {}

  data(chunk: Buffer): boolean {
    this.#bytes.append(chunk);
    if (this.#bytes.length > this.maxBytes) {
      this.subscriber.error(
        upstreamError('bad_upstream_answer', `The upstream answer is longer than ${this.maxBytes} bytes.`),
      );
    }
    return true;
  }

  end(): void {
    this.finish(this.#bytes.take());
  }
}

/** Whether there is more than comments. Most streams have nothing but data, which their first letter tells. */
function bringsData(events: Buffer): boolean {
  return events[0] === FIRST_OF_DATA || events.includes('\ndata') || events.includes('\rdata');
}
