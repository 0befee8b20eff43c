import type { InferenceApi } from '../inference-request.js';
import type { JsonObject } from '../json.js';
import { bytesPart, type ResponsePart } from '../response-part.js';
import { firstChoice, replaceFirstChoice } from './choices.js';
import { EventScan } from './event-scan.js';
import { sseEvent } from '../sse.js';
import { readUpstream } from './answer-json.js';
import { upstreamError } from './answer-truth.js';
import { asBuffer, END_OF_STREAM, eventData, eventsIn, parseData } from './events.js';
import { ANSWER_FORMS } from './forms/answer-forms.js';
import type { AnswerForm } from './forms/answer-form.js';
import { HANDOFF_FIELDS, withoutHandoff } from './handoff-fields.js';
import { joinUsage, sharesUsage } from './join-usage.js';
import { leadOf } from './lead-of.js';
import type { AnswerLead, PrefillShare } from './prefill-share.js';

/** Makes the client's stream of D's. Made for one answer. Reads only the events that it has to change. */
export class JoinedStream {
  readonly #form: AnswerForm;
  readonly #lead: AnswerLead | undefined;
  readonly #behindLead: (choice: JsonObject) => JsonObject;
  readonly #scan: EventScan;
  /** Whether something of P's has to be put before, or into, D's first choice. */
  #isDue: boolean;

  constructor(
    api: InferenceApi,
    private readonly share: PrefillShare,
  ) {
    this.#form = ANSWER_FORMS[api];
    this.#lead = leadOf(share);
    this.#behindLead = this.#form.behindLead(this.#lead ?? NO_LEAD);
    this.#isDue = this.#lead !== undefined || share.promptLogprobs !== undefined;
    const fields = [...(sharesUsage(share) ? ['usage'] : []), ...(this.#lead ? this.#form.fieldsBehindLead : [])];
    this.#scan = scanFor(fields);
  }

  /** @param part whole events */
  take(part: ResponsePart): ResponsePart {
    if (part.kind === 'json' || !this.#mustRead(part.bytes)) return part;
    const events = eventsIn(asBuffer(part.bytes)).flatMap((event) => this.#takeEvent(event));
    return bytesPart(Buffer.concat(events));
  }

  #mustRead(bytes: Uint8Array): boolean {
    return this.#isDue || this.#scan.finds(bytes);
  }

  #takeEvent(event: Buffer): readonly Buffer[] {
    const data = this.#mustRead(event) ? eventData(event) : undefined;
    if (data === undefined || data.trim() === END_OF_STREAM) return [event];
    const parsed = parseData(data);
    // It holds something that must not go on as it is, such as a handoff with addresses.
    if (parsed === undefined) throw upstreamError('bad_upstream_answer', 'An upstream event is not a JSON object.');
    return readUpstream(() => {
      const joined = this.#join(parsed);
      return joined.length === 1 && joined[0] === parsed ? [event] : joined.map(sseEvent);
    });
  }

  #join(event: JsonObject): readonly JsonObject[] {
    const own = joinUsage(withoutHandoff(event), this.share);
    const choice = firstChoice(own);
    if (choice === undefined) return [own];
    if (!this.#isDue) return [replaceFirstChoice(own, this.#behindLead)];
    this.#isDue = false;
    return this.#begin(own, choice);
  }

  /** The events that D's first one becomes: the last of them is D's own, with whatever else it holds. */
  #begin(event: JsonObject, choice: JsonObject): readonly JsonObject[] {
    const deltas = this.#lead === undefined ? [choice] : this.#form.leadDeltas(this.#lead, choice);
    const events = deltas.map((delta, index) =>
      index < deltas.length - 1
        ? { ...this.#form.head(event), choices: [delta] }
        : replaceFirstChoice(event, () => delta),
    );
    const { promptLogprobs } = this.share;
    if (promptLogprobs === undefined) return events;
    return events.map((each, index) => (index === 0 ? this.#form.withPromptLogprobs(each, promptLogprobs) : each));
  }
}

const NO_LEAD: AnswerLead = { completionTokens: 0 };

/** A scan has tables of its own to build; there are as few as there are kinds of answers. */
const scans = new Map<string, EventScan>();

function scanFor(fields: readonly string[]): EventScan {
  const key = fields.join();
  const scan = scans.get(key) ?? new EventScan([...HANDOFF_FIELDS, ...fields]);
  scans.set(key, scan);
  return scan;
}
