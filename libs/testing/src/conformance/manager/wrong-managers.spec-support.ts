import {
  canSplit,
  DECODE_POOL,
  HandoffLedger,
  KvConnectors,
  PREFILL_POOL,
  RequestManager,
  Split,
  type DisaggregatedRequestManager,
} from '@baton/coordination';
import {
  joinAnswer,
  whileHeld,
  wholeAnswer,
  type InferenceRequest,
  type JsonObject,
  type ResponsePart,
} from '@baton/inference';
import { RemotePool, type LegSite } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import { catchError, EMPTY, Observable, of, switchMap, take, takeUntil, timer, type ObservableInput } from 'rxjs';

/** A manager that splits by itself, P before D, and is right; those below get one thing wrong each. */
@RequestManager({ name: 'by-hand' })
export class ByHandManager implements DisaggregatedRequestManager {
  constructor(
    protected readonly split: Split,
    private readonly ledger: HandoffLedger,
    private readonly connectors: KvConnectors,
    @Inject(PREFILL_POOL) protected readonly prefillers: RemotePool,
    @Inject(DECODE_POOL) private readonly decoders: RemotePool,
  ) {}

  dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    if (!canSplit(request)) return undefined;
    const connector = this.connectors.active;
    if (connector.contract.order === 'concurrent') {
      return this.split.run(request, { prefill: this.prefillers, decode: this.decoders });
    }
    return this.prefillers.pick(request).pipe(
      whileHeld((site) => this.prefill(site, connector.prefillLeg(request, {}))),
      switchMap((answer) => {
        const handoff = connector.handoffOf(answer, {});
        const run = (site: LegSite): Observable<ResponsePart> =>
          this.decode(site, connector.decodeLeg(request, handoff)).pipe(joinAnswer(request, {}));
        return this.owing(
          (use) =>
            this.ledger
              .owe(connector, { request, decode: () => EMPTY }, handoff)
              .pipe(whileHeld((owed) => owed.taking(use()))),
          (use) => this.decoders.pick(request).pipe(whileHeld(use)),
          run,
        );
      }),
    );
  }

  protected prefill(site: LegSite, leg: InferenceRequest): Observable<JsonObject> {
    return site.run(leg).pipe(wholeAnswer());
  }

  protected decode(site: LegSite, leg: InferenceRequest): Observable<ResponsePart> {
    return site.run(leg);
  }

  /** The KV is owed from before D is picked. */
  protected owing(
    owe: (use: () => Observable<ResponsePart>) => Observable<ResponsePart>,
    pick: (use: (site: LegSite) => Observable<ResponsePart>) => Observable<ResponsePart>,
    run: (site: LegSite) => Observable<ResponsePart>,
  ): Observable<ResponsePart> {
    return owe(() => pick(run));
  }
}

@RequestManager({ name: 'leaks-the-handoff' })
export class LeaksTheHandoff extends ByHandManager {
  /** Nobody owes the KV while D is picked. */
  protected override owing(...[owe, pick, run]: Parameters<ByHandManager['owing']>): Observable<ResponsePart> {
    return pick((site) => owe(() => run(site)));
  }
}

@RequestManager({ name: 'edits-what-it-declines' })
export class EditsWhatItDeclines extends ByHandManager {
  override dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    if (!canSplit(request)) Object.assign(request.body, { max_tokens: 1 });
    return super.dispatch(request);
  }
}

@RequestManager({ name: 'starts-too-early' })
export class StartsTooEarly extends ByHandManager {
  override dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    if (!canSplit(request)) return undefined;
    // To be there sooner.
    this.prefillers
      .pick(request)
      .pipe(take(1), takeUntil(timer(100)))
      .subscribe();
    return super.dispatch(request);
  }
}

@RequestManager({ name: 'swallows-the-error-of-p' })
export class SwallowsTheErrorOfP extends ByHandManager {
  protected override prefill(...args: Parameters<ByHandManager['prefill']>): Observable<JsonObject> {
    return super.prefill(...args).pipe(catchError((): ObservableInput<never> => EMPTY));
  }
}

@RequestManager({ name: 'forgets-to-cancel-d' })
export class ForgetsToCancelD extends ByHandManager {
  protected override decode(...args: Parameters<ByHandManager['decode']>): Observable<ResponsePart> {
    return new Observable((subscriber) => {
      super.decode(...args).subscribe({
        next: (part) => subscriber.next(part),
        error: (error: unknown) => subscriber.error(error),
        complete: () => subscriber.complete(),
      });
    });
  }
}

@RequestManager({ name: 'rejects-unseen' })
export class RejectsUnseen extends ByHandManager {
  override dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    return super.dispatch(request)?.pipe(
      switchMap((part) => {
        // RxJS finds nobody for it, and throws it in a timer.
        of(part).subscribe(() => {
          throw new Error('nobody sees this');
        });
        return of(part);
      }),
    );
  }
}
