import {
  answerFromPrefill,
  joinAnswer,
  legOf,
  recoverBeforeFirst,
  whileHeld,
  wholeAnswer,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import type { LegSite } from '@baton/remotes';
import { map, NEVER, of, startWith, switchAll, switchMap, type Observable } from 'rxjs';
import type { HandoffDescriptor } from '../connectors/kv-connector.js';
import type { Handoff } from '../ledger/handoff.js';
import { fallbackReason, isRecoverable, isRefusal } from './fallback.js';
import { onAnotherSite } from './on-another-site.js';
import { prefillAnswers } from './prefill-answers.js';
import { agreement, decodeOn, releaseMeans, retryRules, shareOf, type SplitContext } from './split-context.js';

/** What a prefill leg has left: where, its answer, and what was agreed before it. */
interface Prefilled {
  readonly site: LegSite;
  readonly answer: JsonObject;
  readonly agreed: JsonObject;
}

/** P, then D: D's leg needs what P has answered. */
export function serialSplit(context: SplitContext): Observable<ResponsePart> {
  return decoderToName(context).pipe(
    whileHeld((decoder) =>
      prefill(context, decoder).pipe(
        map((prefilled) => afterPrefill(context, prefilled, decoder)),
        recoverBeforeFirst((error) => insteadOfPrefill(context, error)),
        switchAll(),
      ),
    ),
  );
}

/** A resource: D, when P has to be told its address; else undefined, so that D is chosen when P has answered. */
function decoderToName({ request, connector, sites }: SplitContext): Observable<LegSite | undefined> {
  return connector.contract.decoder === 'first' ? sites.decode.pick(request) : NEVER.pipe(startWith(undefined));
}

function prefill(context: SplitContext, decode: LegSite | undefined): Observable<Prefilled> {
  const { request, connector, sites } = context;
  const rules = retryRules(context, 'prefill', (error) => error.isRetryable);
  return onAnotherSite(sites.prefill, request, rules, (site) =>
    agreement(context, { prefill: site, decode }).pipe(
      switchMap((agreed) =>
        site.run(connector.prefillLeg(request, agreed)).pipe(
          wholeAnswer(),
          map((answer) => ({ site, answer, agreed })),
        ),
      ),
    ),
  );
}

function afterPrefill(
  context: SplitContext,
  { site, answer, agreed }: Prefilled,
  decoder: LegSite | undefined,
): Observable<ResponsePart> {
  const { request, connector, ledger, observer } = context;
  const handoff = connector.handoffOf(answer, agreed);
  const isOwed = handoff !== undefined && connector.contract.leaving.gap === 'release';
  if (connector.contract.prefillMayAnswer && prefillAnswers(request, answer)) {
    observer.answeredByPrefill();
    const whole = of(answerFromPrefill(request, answer));
    // A P that ran into the client's limit keeps its KV for a D that is not needed.
    return isOwed ? ledger.owe(connector, releaseMeans(context, site), handoff).pipe(whileHeld(() => whole)) : whole;
  }
  if (handoff === undefined) observer.noHandoff();
  const decoded = decode(context, handoff, decoder).pipe(joinAnswer(request, shareOf(context, answer)));
  const parts = isOwed
    ? ledger
        .owe(connector, releaseMeans(context, site), handoff)
        .pipe(
          whileHeld((owed) =>
            owed.taking(decoded).pipe(recoverBeforeFirst((error) => finishFromHandoff(context, error, owed))),
          ),
        )
    : decoded;
  // A handoff that P can take back itself was tried above.
  const isTried = isOwed && connector.rescueLeg !== undefined;
  return isTried ? parts : parts.pipe(recoverBeforeFirst((error) => finishWithoutHandoff(context, error)));
}

function decode(
  context: SplitContext,
  handoff: HandoffDescriptor | undefined,
  decoder: LegSite | undefined,
): Observable<ResponsePart> {
  const { request, connector, sites } = context;
  const run = (site: LegSite): Observable<ResponsePart> =>
    decodeOn(context, site, () => connector.decodeLeg(request, handoff));
  if (decoder !== undefined) return run(decoder);
  // A D that has said anything may have taken the KV, or freed it: a handoff is for one transfer.
  const rules = retryRules(context, 'decode', ({ reason }) => reason === 'connect');
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

/** P takes back its own handoff. */
function finishFromHandoff(
  { request, connector, sites, observer }: SplitContext,
  error: unknown,
  owed: Handoff,
): Observable<ResponsePart> | undefined {
  const leg = owed.descriptor && connector.rescueLeg?.(request, owed.descriptor);
  if (sites.withoutDecode === undefined || leg === undefined || !isRecoverable(error)) return undefined;
  observer.fellBack(fallbackReason(error));
  observer.failed(request, error);
  return owed.taking(sites.withoutDecode(leg)).pipe(joinAnswer(request, {}));
}

/** Whatever kept D from answering, also a refusal: P has accepted the request and can answer it. */
function finishWithoutHandoff(
  { request, sites, observer }: SplitContext,
  error: unknown,
): Observable<ResponsePart> | undefined {
  if (sites.withoutDecode === undefined || !isRecoverable(error)) return undefined;
  observer.fellBack(fallbackReason(error));
  observer.failed(request, error);
  return sites.withoutDecode(legOf(request, request.body)).pipe(joinAnswer(request, {}));
}
