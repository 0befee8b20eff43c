import {
  InferenceError,
  joinAnswer,
  legOf,
  recoverBeforeFirst,
  whileHeld,
  wholeAnswer,
  type ResponsePart,
} from '@baton/inference';
import { RemoteUnavailableError, type LegSite } from '@baton/remotes';
import { switchMap, tap, type Observable } from 'rxjs';
import type { Handoff } from '../ledger/handoff.js';
import { fallbackReason, isRecoverable, isRefusal } from './fallback.js';
import { holdUntilPrefilled } from './hold-until-prefilled.js';
import { inRole } from './in-role.js';
import { onAnotherSite } from './on-another-site.js';
import { agreement, decodeOn, releaseMeans, retryRules, shareOf, type SplitContext } from './split-context.js';

/** P and D at once: each waits for the other, so both are chosen before either is sent. */
export function concurrentSplit(context: SplitContext): Observable<ResponsePart> {
  const { request, connector, ledger, sites } = context;
  // P may have computed while a D that can be reached thought about its answer.
  const decodeRules = retryRules(context, 'decode', (error) => error.isUntouched);
  const prefillRules = retryRules(context, 'prefill', (error) => error.isRetryable);
  return ledger.owe(connector, releaseMeans(context)).pipe(
    // Around both picks: a transfer that is finished for a client that has left still uses its instances.
    whileHeld((owed) =>
      owed.taking(
        onAnotherSite(sites.decode, request, decodeRules, (decode) =>
          onAnotherSite(sites.prefill, request, prefillRules, (prefill) => exchange(context, owed, prefill, decode)),
        ),
      ),
    ),
    recoverBeforeFirst((error) => insteadOfSplit(context, error)),
  );
}

function exchange(context: SplitContext, owed: Handoff, prefill: LegSite, decode: LegSite): Observable<ResponsePart> {
  const { request, connector } = context;
  return agreement(context, { prefill, decode }).pipe(
    switchMap((agreed) => {
      const handoff = connector.handoffOf(undefined, agreed);
      if (handoff === undefined) throw new Error('A concurrent connector must know its handoff before P answers.');
      owed.is(handoff);
      owed.sent();
      context.progress.phase = 'transferring';
      return holdUntilPrefilled(
        {
          prefill: prefill
            .run(inRole(connector.prefillLeg(request, agreed), 'prefill'))
            .pipe(wholeAnswer(), tap({ error: (error: unknown) => voidIfRefused(owed, error) })),
          decode: (valve) => decodeOn(context, decode, () => ({ ...connector.decodeLeg(request, handoff), valve })),
          join: (answer, parts) => parts.pipe(joinAnswer(request, shareOf(context, answer))),
        },
        request.valve,
      );
    }),
  );
}

/** A P that has said no holds nothing; of one that went silent nobody knows. */
function voidIfRefused(owed: Handoff, error: unknown): void {
  const isSilent = error instanceof RemoteUnavailableError && (error.reason === 'timeout' || error.reason === 'reset');
  if (error instanceof InferenceError && !isSilent) owed.void();
}

/** A refusal is the client's to see; for anything else this instance may compute the whole. */
function insteadOfSplit(
  { request, sites, observer }: SplitContext,
  error: unknown,
): Observable<ResponsePart> | undefined {
  const instead = sites.withoutPrefill ?? sites.withoutDecode;
  if (instead === undefined || !isRecoverable(error) || isRefusal(error)) return undefined;
  observer.fellBack(fallbackReason(error));
  observer.failed(request, error);
  return instead(legOf(request, request.body)).pipe(joinAnswer(request, {}));
}
