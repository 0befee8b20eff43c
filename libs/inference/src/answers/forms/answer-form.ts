import type { JsonObject } from '../../json.js';
import type { AnswerLead } from '../prefill-share.js';

/** Where the answers of an api have what two legs share. */
export interface AnswerForm {
  /** `answer`, or the first event of one, with `prompt_logprobs` where the api has them. */
  withPromptLogprobs(answer: JsonObject, promptLogprobs: unknown): JsonObject;
  /** What every event of a stream repeats, from a whole answer or from another event. */
  head(answer: JsonObject): JsonObject;
  /** A choice of a whole answer with `lead` before it. */
  withLead(lead: AnswerLead, choice: JsonObject): JsonObject;
  /** The first choice of a stream with `lead` before it: the choices of two events, or of one. */
  leadDeltas(lead: AnswerLead, choice: JsonObject): readonly JsonObject[];
  /** Fields with which a choice of a stream is another behind a lead. */
  readonly fieldsBehindLead: readonly string[];
  /** For the choices of a stream that come somewhere behind `lead`: the same object when it makes no difference to one. */
  behindLead(lead: AnswerLead): (choice: JsonObject) => JsonObject;
  /** A choice of a whole answer as the choices of a stream's events. */
  deltas(choice: JsonObject): readonly JsonObject[];
}
