import {
  bytesPart,
  completeEventsLength,
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
  data(chunk: Buffer): void;
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

/**
 * Forwards server-sent events as they came (or translated), but only whole ones: an event that the upstream did not
 * finish is never begun on the client's side, so an error event can always follow. What the events say is judged by
 * {@link TruthfulEvents}: a stream that failed, or was cut short, fails here too. It completes at its end mark: some servers
 * leave the connection open behind it.
 */
export class EventStreamSink implements AnswerSink {
  #unfinished: Buffer = NOTHING;
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

  data(chunk: Buffer): void {
    const bytes = this.#unfinished.length === 0 ? chunk : Buffer.concat([this.#unfinished, chunk]);
    const length = completeEventsLength(bytes);
    this.#unfinished = length === bytes.length ? NOTHING : bytes.subarray(length);
    if (this.#unfinished.length > this.maxEventBytes) {
      this.subscriber.error(
        upstreamError('bad_upstream_answer', `An upstream event is longer than ${this.maxEventBytes} bytes.`),
      );
    } else if (length > 0) {
      this.#takeEvents(bytes.subarray(0, length));
    }
  }

  end(): void {
    if (this.#translated?.lacksEndMark === true) this.#judge(Buffer.from(SSE_DONE));
    if (this.subscriber.closed) return;
    const error = this.#truth.end();
    if (error === undefined) this.subscriber.complete();
    else this.subscriber.error(error);
  }

  #takeEvents(events: Buffer): void {
    let translated: Buffer;
    try {
      translated = this.#translated === undefined ? events : this.#translated.take(events);
    } catch (error) {
      return this.subscriber.error(error);
    }
    if (translated.length > 0) this.#judge(translated);
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
      this.subscriber.error(
        upstreamError('bad_upstream_answer', `The upstream answer is longer than ${this.maxBytes} bytes.`),
      );
    } else {
      this.#chunks.push(chunk);
    }
  }

  end(): void {
    this.finish(Buffer.concat(this.#chunks, this.#length));
  }
}
