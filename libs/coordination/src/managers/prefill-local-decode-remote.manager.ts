import {
  choiceCount,
  InferenceError,
  legOf,
  recoverBeforeFirst,
  whileHeld,
  wholeAnswer,
  type InferenceRequest,
  type ResponsePart,
} from '@baton/inference';
import { RemotePool, RemoteUnavailableError } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import { switchMap, type Observable } from 'rxjs';
import { DECODE_POOL } from '../coordination.constants.js';
import { HandoffLedger } from '../ledger/handoff-ledger.js';
import { CoordinationObserver } from '../observer.js';
import { KvConnectors } from '../registry/kv-connectors.js';
import type { DisaggregatedRequestManager, LocalExecution } from './disaggregated-request-manager.js';
import { RequestManager } from './request-manager.decorator.js';

/**
 * Prefill on this instance, decode on another that is chosen when the prefill has finished. When no decode
 * instance can take the request before its first token, this instance finishes it from its own KV cache.
 */
@RequestManager({ name: 'prefill-local-decode-remote', priority: 1 })
export class PrefillLocalDecodeRemoteManager implements DisaggregatedRequestManager {
  constructor(
    private readonly connectors: KvConnectors,
    private readonly ledger: HandoffLedger,
    private readonly observer: CoordinationObserver,
    @Inject(DECODE_POOL) private readonly decoders: RemotePool,
  ) {}

  dispatch(request: InferenceRequest, local: LocalExecution): Observable<ResponsePart> | undefined {
    // One KV handoff describes one sequence, so several choices cannot be split.
    if (request.isLeg || choiceCount(request) > 1 || this.decoders.isEmpty) return undefined;
    const connector = this.connectors.active;

    return local(connector.prefillLeg(request)).pipe(
      wholeAnswer(),
      switchMap((answer) => this.ledger.owe(connector, connector.handoffOf(answer))), // from here on KV is owed
      whileHeld((handoff) => {
        const leg = connector.decodeLeg(request, handoff?.descriptor);
        // Deferred: only now is the decode instance chosen.
        return this.decoders.pick(leg).pipe(
          whileHeld((decoder) => decoder.run(leg)),
          recoverBeforeFirst((error) => this.finishHere(error, () => local(legOf(leg, leg.body)))),
          (parts) => handoff?.takenOnFirst(parts) ?? parts,
        );
      }),
    );
  }

  /** Whatever kept D from answering, also a refusal, this instance has accepted the request and can answer it. */
  private finishHere(error: unknown, decode: () => Observable<ResponsePart>): Observable<ResponsePart> | undefined {
    if (!(error instanceof InferenceError)) return undefined;
    const reason = error.status < 500 ? 'refused' : 'bad_answer';
    this.observer.fellBack(error instanceof RemoteUnavailableError ? error.reason : reason);
    return decode();
  }
}
