import type { LegRole, LegTrace, SentLeg } from '@baton/inference';
import { redacted, type RecordBudget } from './redaction.js';
import type { LegRecord, RedactedBody } from './request-record.js';
import { word } from './word.js';

/** One leg of a recorded request. */
export class LegRecording implements LegTrace {
  readonly #id: string;
  readonly #endpoint: string;
  readonly #stream: boolean;
  readonly #body: RedactedBody;
  readonly #deadlineMs: number | undefined;
  readonly #sentMs = performance.now();
  #firstPartMs: number | undefined;
  #endedMs: number | undefined;
  #outcome: LegRecord['outcome'] = null;
  #reason: string | undefined;

  constructor(
    readonly role: LegRole,
    { id, endpoint, request }: SentLeg,
    budget: RecordBudget,
  ) {
    this.#id = word(id);
    this.#endpoint = word(endpoint);
    this.#stream = request.stream;
    this.#deadlineMs = request.deadlineMs;
    this.#body = redacted(request.body, budget);
  }

  /** When its answer has to be there, on the clock of `performance.now()`. */
  get deadlineMs(): number | undefined {
    return this.#deadlineMs;
  }

  firstPart(): void {
    this.#firstPartMs ??= performance.now();
  }

  ended(outcome: 'complete' | 'failed' | 'left', reason?: string): void {
    if (this.#outcome !== null) return;
    this.#endedMs = performance.now();
    this.#outcome = outcome;
    this.#reason = reason;
  }

  /** @param since turns a time on the clock of `performance.now()` into ms since the start of the request. */
  view(since: (atMs: number | undefined) => number | null): LegRecord {
    return {
      id: this.#id,
      role: this.role,
      endpoint: this.#endpoint,
      stream: this.#stream,
      body: this.#body,
      deadlineMs: since(this.#deadlineMs),
      sentMs: since(this.#sentMs) ?? 0,
      firstPartMs: since(this.#firstPartMs),
      endedMs: since(this.#endedMs),
      outcome: this.#outcome,
      ...(this.#reason === undefined ? {} : { reason: word(this.#reason) }),
    };
  }
}
