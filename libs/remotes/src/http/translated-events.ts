import { END_OF_STREAM, eventData, eventsIn, parseData, readUpstream, sseEvent, upstreamError } from '@baton/inference';
import type { AnswerTranslator } from '../dialects/dialect.js';

/** Writes the events of a stream anew, as a translator says. */
export class TranslatedEvents {
  #hasEndMark = false;

  constructor(private readonly translator: AnswerTranslator) {}

  /** Whether the stream is whole, but its server sends no end mark. */
  get lacksEndMark(): boolean {
    return !this.#hasEndMark && this.translator.isWhole?.() === true;
  }

  /**
   * @param events whole events.
   * @throws InferenceError 502 when one of them cannot be read.
   */
  take(events: Buffer): Buffer {
    return Buffer.concat(eventsIn(events).flatMap((event) => this.#event(event)));
  }

  /** Comments and the end mark go on as they are. */
  #event(event: Buffer): readonly Buffer[] {
    const data = eventData(event);
    if (data === undefined) return [event];
    if (data.trim() === END_OF_STREAM) {
      this.#hasEndMark = true;
      return [event];
    }
    const parsed = parseData(data);
    if (parsed === undefined) throw upstreamError('bad_upstream_answer', 'An upstream event is not a JSON object.');
    return readUpstream(() => this.translator.event(parsed).map(sseEvent));
  }
}
