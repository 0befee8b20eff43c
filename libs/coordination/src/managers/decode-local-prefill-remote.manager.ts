import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { RemotePool } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { PREFILL_POOL } from '../coordination.constants.js';
import { canSplit } from '../split/can-split.js';
import { LocalSite } from '../split/local-site.js';
import { Split } from '../split/split.js';
import type { DisaggregatedRequestManager, LocalExecution } from './disaggregated-request-manager.js';
import { RequestManager } from './request-manager.decorator.js';

/** Decode on this instance, prefill on another. When none can prefill, this instance reads the prompt itself. */
@RequestManager({ name: 'decode-local-prefill-remote', priority: 2 })
export class DecodeLocalPrefillRemoteManager implements DisaggregatedRequestManager {
  constructor(
    private readonly split: Split,
    private readonly here: LocalSite,
    @Inject(PREFILL_POOL) private readonly prefillers: RemotePool,
  ) {}

  dispatch(request: InferenceRequest, local: LocalExecution): Observable<ResponsePart> | undefined {
    if (!canSplit(request) || !this.here.isAvailable || this.prefillers.isEmpty) {
      return undefined;
    }
    return this.split.run(request, {
      prefill: this.prefillers,
      decode: this.here.of(local),
      withoutPrefill: local,
    });
  }
}
