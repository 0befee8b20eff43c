import type { InferenceRequest, ResponsePart } from '@baton/inference';
import type { Observable } from 'rxjs';
import { LocalSite } from '../split/local-site.js';
import type { DisaggregatedRequestManager, LocalExecution } from './disaggregated-request-manager.js';
import { RequestManager } from './request-manager.decorator.js';

/** The whole request on this instance; asked last. */
@RequestManager({ name: 'local', priority: 1_000 })
export class LocalManager implements DisaggregatedRequestManager {
  constructor(private readonly here: LocalSite) {}

  dispatch(request: InferenceRequest, local: LocalExecution): Observable<ResponsePart> | undefined {
    return request.isLeg || !this.here.isAvailable ? undefined : local(request);
  }
}
