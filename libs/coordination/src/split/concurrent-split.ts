import {
  InferenceError,
  joinAnswer,
  legOf,
  recoverBeforeFirst,
  whileHeld,
  wholeAnswer,
  type ResponsePart,
} from '@baton/inference';
import { RemoteUnavailableError } from '@baton/remotes';
import { switchMap, tap, type Observable } from 'rxjs';
import type { LegSites } from '../connectors/kv-connector.js';
import type { Handoff } from '../ledger/handoff.js';
import { fallbackReason, isRecoverable } from './fallback.js';
import { holdUntilPrefilled } from './hold-until-prefilled.js';
import { onAnotherSite, type RetryRules } from './on-another-site.js';
import { agreement, decodeOn, releaseMeans, shareOf, type SplitContext } from './split-context.js';

/** P and D at once: each waits for the other, so both are chosen before either is sent. */
export function concurrentSplit(context: SplitContext): Observable<ResponsePart> {
  const { request, sites, retries, observer } = context;
  const rules: RetryRules = {
    budget: retries,
    isRetryable: (error) => error.isRetryable,
    onRetry: (reason) => observer.retried(reason),
  };
  return onAnotherSite(sites.decode, request, rules, (decode) =>
    onAnotherSite(sites.prefill, request, rules, (prefill) => exchange(context, { prefill, decode })),
  ).pipe(recoverBeforeFirst((error) => insteadOfSplit(context, error)));
}

function exchange(context: SplitContext, sites: Required<LegSites>): Observable<ResponsePart> {
  const { request, connector, ledger } = context;
  const { prefill, decode } = sites;
  if (decode === undefined) throw new Error('A concurrent split needs both sides.');
  return agreement(context, sites).pipe(
    switchMap((agreed) => {
      const handoff = connector.handoffOf(undefined, agreed);
      if (handoff === undefined) throw new Error('A concurrent connector must know its handoff before P answers.');
      return ledger.owe(connector, handoff, releaseMeans(context)).pipe(
        whileHeld((owed) =>
          owed.taking(
            holdUntilPrefilled(
              {
                prefill: prefill
                  .run(connector.prefillLeg(request, agreed))
                  .pipe(wholeAnswer(), tap({ error: (error: unknown) => voidIfRefused(owed, error) })),
                decode: (valve) =>
                  decodeOn(context, decode, () => ({ ...connector.decodeLeg(request, handoff), valve })),
                join: (answer, parts) => parts.pipe(joinAnswer(request, shareOf(context, answer))),
              },
              request.valve,
            ),
          ),
        ),
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
  if (instead === undefined || !isRecoverable(error) || error.status < 500) return undefined;
  observer.fellBack(fallbackReason(error));
  return instead(legOf(request, request.body));
}
