import { InferenceError } from '../inference-error.js';
import { AnswerTruth, upstreamError, type AnswerTruthOptions } from './answer-truth.js';
import { EventScan } from './event-scan.js';
import { END_OF_STREAM, eventData, eventsIn, parseData } from './events.js';

/** What may be done with a piece of a stream. */
export interface TakenEvents {
  /** Whole events that may go on. Empty when there are none. */
  readonly forward: Buffer;
  /** Why nothing behind them may: the answer has failed. */
  readonly error?: InferenceError;
}

const NOTHING = Buffer.alloc(0);
/** What tells how an answer ended. Everything else goes on unread. */
const SIGNS = new EventScan(['finish_reason', 'error'], [END_OF_STREAM]);

/**
 * Lets the events of one upstream stream through, as long as they tell the truth: what fails the answer is held back, so
 * that the client is told so, or another upstream can be asked. Comments before the first event with data are dropped:
 * they are no part of an answer, and whoever waits for its first part must not take them for it.
 */
export class TruthfulEvents {
  readonly #truth: AnswerTruth;
  #hasBegun = false;
  #isOver = false;

  constructor(options: AnswerTruthOptions) {
    this.#truth = new AnswerTruth(options);
  }

  /** Whether the end mark of a success has come: nothing of the answer is behind it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** @param bytes whole events */
  take(bytes: Buffer): TakenEvents {
    if (this.#hasBegun && !this.#isOver && !SIGNS.finds(bytes)) return { forward: bytes };
    const taken: Buffer[] = [];
    const forward = (): Buffer => {
      if (!this.#hasBegun) return NOTHING;
      const [only, ...more] = taken;
      return more.length === 0 ? (only ?? NOTHING) : Buffer.concat(taken);
    };
    for (const event of eventsIn(bytes)) {
      try {
        if (this.#read(event)) taken.push(event);
      } catch (error) {
        return { forward: forward(), error: InferenceError.from(error) };
      }
    }
    return { forward: forward() };
  }

  /** At the end of the stream: why it failed, or undefined when it was a success. */
  end(): InferenceError | undefined {
    try {
      this.#truth.end();
      return undefined;
    } catch (error) {
      return InferenceError.from(error);
    }
  }

  /** Whether the event may go on. Nothing but comments may behind the end mark. */
  #read(event: Buffer): boolean {
    const mustRead = SIGNS.finds(event);
    if (!mustRead && this.#hasBegun && !this.#isOver) return true;
    const data = eventData(event);
    if (data === undefined) return true;
    if (this.#isOver) return false;
    if (mustRead) this.#readData(data);
    this.#hasBegun = true;
    return true;
  }

  #readData(data: string): void {
    if (data.trim() === END_OF_STREAM) {
      this.#truth.mark();
      this.#isOver = true;
      return;
    }
    const event = parseData(data);
    if (event === undefined) throw upstreamError('bad_upstream_answer', 'An upstream event is not a JSON object.');
    this.#truth.read(event);
  }
}
