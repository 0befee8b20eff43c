import { wholeAnswer, type JsonObject } from '@baton/inference';
import type { LegSite } from '@baton/remotes';
import { EMPTY, finalize, map, switchMap, type Observable } from 'rxjs';
import type { HandoffDescriptor } from '../connectors/kv-connector.js';
import { inRole } from './in-role.js';
import { onAnotherSite } from './on-another-site.js';
import { prefillDeadline } from './prefill-pace.js';
import { agreement, releaseMeans, retryRules, type SplitContext } from './split-context.js';

/** What a prefill leg has left: where, its answer, and what was agreed before it. */
export interface Prefilled {
  readonly site: LegSite;
  readonly answer: JsonObject;
  readonly agreed: JsonObject;
}

/**
 * The prefill leg of a serial split, tried on another site when the first could not begin. Left before its answer has come,
 * what that leaves behind is the ledger's.
 *
 * @param decode the decode instance, where P has to be told its address.
 */
export function prefill(context: SplitContext, decode: LegSite | undefined): Observable<Prefilled> {
  const { request, connector, sites } = context;
  let isLeft = false;
  let running: LegSite | undefined;
  const rules = retryRules(context, 'prefill', (error) => error.isRetryable && !isLeft);
  const prefilled = onAnotherSite(sites.prefill, request, rules, (site) =>
    agreement(context, { prefill: site, decode }).pipe(
      switchMap((agreed) => {
        // Its client left while it was tried again, or waited for room.
        if (isLeft) return EMPTY;
        const startedAt = performance.now();
        context.progress.phase = 'prefilling';
        running = site;
        const leg = connector.prefillLeg(request, agreed);
        return site.run(inRole({ ...leg, deadlineMs: prefillDeadline(request) }, 'prefill')).pipe(
          wholeAnswer(),
          finalize(() => (running = undefined)),
          map((answer) => {
            context.pace.record(request, performance.now() - startedAt);
            return { site, answer, agreed };
          }),
        );
      }),
    ),
  );
  return context.ledger.awaiting(prefilled, connector, {
    mayAnswer: () => {
      isLeft = true;
      // The client that closed it has gone.
      request.valve.open();
      // What this process computes itself answers in the same moment or not at all.
      return running?.endpoint !== undefined;
    },
    leaves: (prefilled) => {
      const descriptor = handoffOf(context, prefilled);
      return descriptor && { means: releaseMeans(context, prefilled.site), descriptor };
    },
  });
}

/** What P hands over. It could name any address, and D would dial it. */
export function handoffOf({ connector, addresses }: SplitContext, prefilled: Prefilled): HandoffDescriptor | undefined {
  const handoff = connector.handoffOf(prefilled.answer, prefilled.agreed);
  if (handoff !== undefined) addresses.assertAnswer(handoff.params, prefilled.site);
  return handoff;
}
