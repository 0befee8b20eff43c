import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { RemotePool } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { DECODE_POOL } from '../coordination.constants.js';
import { canSplit } from '../split/can-split.js';
import { LocalSite } from '../split/local-site.js';
import { Split } from '../split/split.js';
import type { DisaggregatedRequestManager, LocalExecution } from './disaggregated-request-manager.js';
import { RequestManager } from './request-manager.decorator.js';

/**
 * Prefill on this instance, decode on another. When no decode instance can take the request before its first token,
 * this instance finishes it.
 */
@RequestManager({ name: 'prefill-local-decode-remote', priority: 1 })
export class PrefillLocalDecodeRemoteManager implements DisaggregatedRequestManager {
  constructor(
    private readonly split: Split,
    private readonly here: LocalSite,
    @Inject(DECODE_POOL) private readonly decoders: RemotePool,
  ) {}

  dispatch(request: InferenceRequest, local: LocalExecution): Observable<ResponsePart> | undefined {
    if (!canSplit(request) || !this.here.isAvailable || this.decoders.isEmpty) return undefined;
    return this.split.run(request, {
      prefill: this.here.of(local),
      decode: this.decoders,
      withoutDecode: local,
    });
  }
}
