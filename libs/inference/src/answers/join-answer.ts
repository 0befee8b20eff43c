import { defer, from, map, mergeMap, toArray, type MonoTypeOperatorFunction, type Observable } from 'rxjs';
import type { InferenceApi, InferenceRequest } from '../inference-request.js';
import type { JsonObject } from '../json.js';
import { wholeAnswer } from '../operators/whole-answer.js';
import { jsonPart, type ResponsePart } from '../response-part.js';
import { readUpstream } from './answer-json.js';
import { replaceFirstChoice } from './choices.js';
import { EventScan } from './event-scan.js';
import { ANSWER_FORMS } from './forms/answer-forms.js';
import { HANDOFF_FIELDS, withoutHandoff } from './handoff-fields.js';
import { joinUsage, sharesUsage } from './join-usage.js';
import { JoinedStream } from './joined-stream.js';
import { leadOf } from './lead-of.js';
import type { PrefillShare } from './prefill-share.js';

const HANDOFF = new EventScan(HANDOFF_FIELDS);

/**
 * Makes the client's answer of D's: puts in what only P knows (how the prompt was counted, its log probabilities, the
 * beginning that D does not repeat) and takes out the handoff. What needs no change passes as it came.
 *
 * @param request the client's. The parts of its stream must hold whole events.
 */
export function joinAnswer(request: InferenceRequest, share: PrefillShare): MonoTypeOperatorFunction<ResponsePart> {
  return (source) => {
    if (!request.stream) {
      return source.pipe(
        toArray(),
        mergeMap((parts) => (passesUnread(parts, share) ? from(parts) : joinWhole(parts, request.api, share))),
      );
    }
    return defer(() => {
      const stream = new JoinedStream(request.api, share);
      return source.pipe(map((part) => stream.take(part)));
    });
  };
}

function passesUnread(parts: readonly ResponsePart[], share: PrefillShare): boolean {
  if (sharesUsage(share) || share.promptLogprobs !== undefined || leadOf(share) !== undefined) return false;
  const bytes = parts.flatMap((part) => (part.kind === 'bytes' ? [part.bytes] : []));
  if (bytes.length < parts.length) return parts.every((part) => part.kind === 'json' && !hasHandoff(part.body));
  const [only, ...more] = bytes;
  return only === undefined || !HANDOFF.finds(more.length === 0 ? only : Buffer.concat(bytes));
}

const hasHandoff = (body: JsonObject): boolean => withoutHandoff(body) !== body;

function joinWhole(parts: readonly ResponsePart[], api: InferenceApi, share: PrefillShare): Observable<ResponsePart> {
  return from(parts).pipe(
    wholeAnswer(),
    map((answer) => jsonPart(readUpstream(() => joined(answer, api, share)))),
  );
}

function joined(answer: JsonObject, api: InferenceApi, share: PrefillShare): JsonObject {
  const form = ANSWER_FORMS[api];
  const lead = leadOf(share);
  const own = joinUsage(withoutHandoff(answer), share);
  const begun = lead === undefined ? own : replaceFirstChoice(own, (choice) => form.withLead(lead, choice));
  return share.promptLogprobs === undefined ? begun : form.withPromptLogprobs(begun, share.promptLogprobs);
}
