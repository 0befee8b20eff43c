import {
  answerFromPrefill,
  joinAnswer,
  legOf,
  recoverBeforeFirst,
  whileHeld,
  type ResponsePart,
} from '@baton/inference';
import type { LegSite } from '@baton/remotes';
import { map, NEVER, of, startWith, switchAll, type Observable } from 'rxjs';
import type { HandoffDescriptor } from '../connectors/kv-connector.js';
import type { Handoff } from '../ledger/handoff.js';
import { fallbackReason, isRecoverable, isRefusal } from './fallback.js';
import { onAnotherSite } from './on-another-site.js';
import { prefillAnswers } from './prefill-answers.js';
import { prefillAttempts } from './prefill-attempts.js';
import { handoffOf, prefill, type Prefilled } from './prefill.js';
import { StaleHandoffError } from './stale-handoff.error.js';
import { decodeOn, releaseMeans, retryRules, shareOf, type SplitContext } from './split-context.js';

/** P, then D: D's leg needs what P has answered. */
export function serialSplit(context: SplitContext): Observable<ResponsePart> {
  return decoderToName(context).pipe(whileHeld((decoder) => prefillAndDecode(context, decoder)));
}

function prefillAndDecode(context: SplitContext, decoder: LegSite | undefined): Observable<ResponsePart> {
  // A P that is told D's address writes into D's memory, which closing it does not take back: one attempt, always.
  const prefilled = decoder === undefined ? prefillAttempts(context) : prefill(context, decoder);
  return prefilled.pipe(
    map((prefilled) => afterPrefill(context, prefilled, decoder)),
    recoverBeforeFirst((error) => insteadOfPrefill(context, error)),
    switchAll(),
    recoverBeforeFirst((error) => insteadOfStale(context, error, decoder)),
  );
}

/** A resource: D, when P has to be told its address; else undefined, so that D is chosen when P has answered. */
function decoderToName({ request, connector, sites }: SplitContext): Observable<LegSite | undefined> {
  return connector.contract.decoder === 'first' ? sites.decode.pick(request) : NEVER.pipe(startWith(undefined));
}

function afterPrefill(
  context: SplitContext,
  { site, answer, agreed }: Prefilled,
  decoder: LegSite | undefined,
): Observable<ResponsePart> {
  const { request, connector, ledger, observer } = context;
  context.progress.phase = 'gap';
  const handoff = handoffOf(context, { site, answer, agreed });
  const isOwed = handoff !== undefined && connector.contract.cancellation.gap.action !== 'nothing';
  if (connector.contract.prefillMayAnswer && prefillAnswers(request, answer)) {
    observer.answeredByPrefill();
    const whole = of(answerFromPrefill(request, answer));
    // A P that ran into the client's limit keeps its KV for a D that is not needed.
    return isOwed ? ledger.owe(connector, releaseMeans(context, site), handoff).pipe(whileHeld(() => whole)) : whole;
  }
  if (handoff === undefined) observer.noHandoff();
  const decoded = (owed?: Handoff): Observable<ResponsePart> =>
    decode(context, handoff, decoder, owed).pipe(joinAnswer(request, shareOf(context, answer)));
  const parts = isOwed
    ? ledger
        .owe(connector, releaseMeans(context, site), handoff)
        .pipe(
          whileHeld((owed) =>
            owed.taking(decoded(owed)).pipe(recoverBeforeFirst((error) => finishFromHandoff(context, error, owed))),
          ),
        )
    : decoded();
  // A handoff that P can take back itself was tried above.
  const isTried = isOwed && connector.rescueLeg !== undefined;
  return isTried ? parts : parts.pipe(recoverBeforeFirst((error) => finishWithoutHandoff(context, error)));
}

function decode(
  context: SplitContext,
  handoff: HandoffDescriptor | undefined,
  decoder: LegSite | undefined,
  owed?: Handoff,
): Observable<ResponsePart> {
  const { request, connector, sites } = context;
  const run = (site: LegSite): Observable<ResponsePart> =>
    decodeOn(context, site, () => {
      // Only now is it known when D gets it: a pick may have waited for room, or a try before this one for its answer.
      if (owed?.isStale === true) throw new StaleHandoffError();
      owed?.sent();
      context.progress.phase = 'decode_sent';
      return connector.decodeLeg(request, handoff);
    });
  if (decoder !== undefined) return run(decoder);
  // A D that has said anything may have taken the KV, or freed it: a handoff is for one transfer.
  const rules = retryRules(context, 'decode', (error) => error.isUntouched);
  // Deferred: only now is the decode instance chosen.
  return onAnotherSite(sites.decode, request, rules, run);
}

/** A refusal is the client's to see; for anything else the other side may compute the whole. */
function insteadOfPrefill(
  { request, sites, observer }: SplitContext,
  error: unknown,
): Observable<Observable<ResponsePart>> | undefined {
  if (sites.withoutPrefill === undefined || !isRecoverable(error) || isRefusal(error)) return undefined;
  observer.fellBack(fallbackReason(error));
  observer.failed(request, error);
  return of(sites.withoutPrefill(legOf(request, request.body)).pipe(joinAnswer(request, {})));
}

/** The KV may be freed while D reads it: as if there were none, or all over again, once. */
function insteadOfStale(
  context: SplitContext,
  error: unknown,
  decoder: LegSite | undefined,
): Observable<ResponsePart> | undefined {
  if (!(error instanceof StaleHandoffError)) return undefined;
  context.observer.stale();
  if (context.staleHandoff === 'prefill') return prefillAndDecode({ ...context, staleHandoff: 'plain' }, decoder);
  return decode(context, undefined, decoder).pipe(joinAnswer(context.request, {}));
}

/** P takes back its own handoff. */
function finishFromHandoff(
  { request, connector, sites, observer }: SplitContext,
  error: unknown,
  owed: Handoff,
): Observable<ResponsePart> | undefined {
  const leg = owed.descriptor && connector.rescueLeg?.(request, owed.descriptor);
  if (sites.withoutDecode === undefined || leg === undefined || !isRecoverable(error) || owed.isStale) return undefined;
  observer.fellBack(fallbackReason(error));
  observer.failed(request, error);
  owed.sent();
  return owed.taking(sites.withoutDecode(leg)).pipe(joinAnswer(request, {}));
}

/** Whatever kept D from answering, also a refusal: P has accepted the request and can answer it. */
function finishWithoutHandoff(
  { request, sites, observer }: SplitContext,
  error: unknown,
): Observable<ResponsePart> | undefined {
  if (sites.withoutDecode === undefined || !isRecoverable(error) || error instanceof StaleHandoffError)
    return undefined;
  observer.fellBack(fallbackReason(error));
  observer.failed(request, error);
  return sites.withoutDecode(legOf(request, request.body)).pipe(joinAnswer(request, {}));
}
