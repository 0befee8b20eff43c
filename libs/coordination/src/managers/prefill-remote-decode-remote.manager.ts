import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { RemotePool } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { DECODE_POOL, PREFILL_POOL } from '../coordination.constants.js';
import { canSplit } from '../split/can-split.js';
import { Split } from '../split/split.js';
import type { DisaggregatedRequestManager } from './disaggregated-request-manager.js';
import { RequestManager } from './request-manager.decorator.js';

/** Both legs on other instances: a coordinator before two pools. */
@RequestManager({ name: 'prefill-remote-decode-remote', priority: 3 })
export class PrefillRemoteDecodeRemoteManager implements DisaggregatedRequestManager {
  constructor(
    private readonly split: Split,
    @Inject(PREFILL_POOL) private readonly prefillers: RemotePool,
    @Inject(DECODE_POOL) private readonly decoders: RemotePool,
  ) {}

  dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    if (!canSplit(request) || this.prefillers.isEmpty || this.decoders.isEmpty) return undefined;
    return this.split.run(request, { prefill: this.prefillers, decode: this.decoders });
  }
}
