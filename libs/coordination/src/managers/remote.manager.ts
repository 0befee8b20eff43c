import type { InferenceRequest, ResponsePart } from '@baton/inference';
import { RemotePool } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { DECODE_POOL } from '../coordination.constants.js';
import { LocalSite } from '../split/local-site.js';
import { Split } from '../split/split.js';
import type { DisaggregatedRequestManager } from './disaggregated-request-manager.js';
import { RequestManager } from './request-manager.decorator.js';

/** The whole request on one decode instance: what `local` is where this instance has no engine. Asked last. */
@RequestManager({ name: 'remote', priority: 1_001 })
export class RemoteManager implements DisaggregatedRequestManager {
  constructor(
    private readonly split: Split,
    private readonly here: LocalSite,
    @Inject(DECODE_POOL) private readonly decoders: RemotePool,
  ) {}

  dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    if (request.isLeg || this.here.isAvailable || this.decoders.isEmpty) return undefined;
    return this.split.whole(request, this.decoders);
  }
}
