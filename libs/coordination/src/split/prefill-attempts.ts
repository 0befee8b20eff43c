import { FlowValve, InferenceError } from '@baton/inference';
import { defer, finalize, take, takeLast, tap, throwIfEmpty, type Observable } from 'rxjs';
import { ExclusiveSites } from './exclusive-sites.js';
import { handoffOf, prefill, type Prefilled } from './prefill.js';
import { releaseMeans, type SplitContext } from './split-context.js';

/**
 * The prefill of a serial split as its manager composes it of attempts ({@link SplitSites.prefillWith}); by default one.
 *
 * One attempt that has come off is handed on. The others are closed by their teardown, and what they leave behind is freed:
 * by the ledger when their answer comes late, here when their answer was there as well.
 */
export function prefillAttempts(context: SplitContext): Observable<Prefilled> {
  const { prefillWith } = context.sites;
  if (prefillWith === undefined) return prefill(context, undefined);
  return defer(() => {
    const sites = { ...context.sites, prefill: new ExclusiveSites(context.sites.prefill) };
    /** Each answer that nobody was given, with the attempt that it is of. */
    const unused = new Map<Prefilled, SplitContext>();
    const attempt = defer(() => {
      // A valve of its own: one that is left opens it, and this client may be there yet.
      const own = { ...context, sites, request: { ...context.request, valve: new FlowValve() } };
      return prefill(own, undefined).pipe(
        // Said at its end: whoever leaves at the first answer must not seem to have closed that leg.
        takeLast(1),
        tap((prefilled) => unused.set(prefilled, own)),
      );
    });
    return prefillWith(attempt).pipe(
      take(1),
      throwIfEmpty(() => new Error('The prefill attempts ended without an answer and without an error.')),
      tap((prefilled) => {
        if (!unused.delete(prefilled))
          throw new Error('What was made of the prefill attempts is none of their answers.');
      }),
      finalize(() => {
        for (const [prefilled, own] of unused) free(own, prefilled);
      }),
    );
  });
}

/** Frees the KV of an answer that is not used. */
function free(context: SplitContext, prefilled: Prefilled): void {
  const { connector, ledger, observer, request } = context;
  if (connector.contract.cancellation.gap.action === 'nothing') return;
  try {
    const handoff = handoffOf(context, prefilled);
    if (handoff === undefined) return;
    ledger.owe(connector, releaseMeans(context, prefilled.site), handoff).subscribe().unsubscribe();
  } catch (error) {
    // A handoff that no D could be sent, so nothing can free it. Its client gets the other answer.
    if (error instanceof InferenceError) observer.failed(request, error);
  }
}
