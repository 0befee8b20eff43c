import { legOf, whileHeld, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { RemotePool } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { DECODE_POOL, PREFILL_POOL } from '../coordination.constants.js';
import { canSplit } from '../split/can-split.js';
import { Split } from '../split/split.js';
import type { DisaggregatedRequestManager } from './disaggregated-request-manager.js';
import { RequestManager } from './request-manager.decorator.js';

/** Both legs on other instances: a coordinator before two pools. What cannot be split runs on a decode instance. */
@RequestManager({ name: 'prefill-remote-decode-remote', priority: 3 })
export class PrefillRemoteDecodeRemoteManager implements DisaggregatedRequestManager {
  constructor(
    private readonly split: Split,
    @Inject(PREFILL_POOL) private readonly prefillers: RemotePool,
    @Inject(DECODE_POOL) private readonly decoders: RemotePool,
  ) {}

  dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    if (request.isLeg || this.prefillers.isEmpty || this.decoders.isEmpty) return undefined;
    if (!canSplit(request)) return this.whole(request);
    return this.split.run(request, { prefill: this.prefillers, decode: this.decoders });
  }

  private whole(request: InferenceRequest): Observable<ResponsePart> {
    return this.decoders.pick(request).pipe(whileHeld((site) => site.run(legOf(request, request.body))));
  }
}
