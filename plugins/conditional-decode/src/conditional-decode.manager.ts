import {
  canSplit,
  CoordinationObserver,
  DECODE_POOL,
  LocalSite,
  PLUGIN_OPTIONS,
  PREFILL_POOL,
  RequestManager,
  Split,
  type DisaggregatedRequestManager,
  type LocalExecution,
  type SplitSites,
} from '@baton/coordination';
import { recoverBeforeFirst, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { RemotePool, RemoteUnavailableError } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { ConditionalDecodeOptions } from './conditional-decode.options.js';
import { ifAvailable, isNotAvailable } from './if-available.js';

/**
 * Asks a decode instance first, on the condition that the prompt is in its cache: then there is nothing to prefill. When it is
 * not (412), the request is split as it would have been.
 *
 * Switched off until an operator enables it: decode instances that do not know the condition run every request whole.
 */
@RequestManager({ name: 'conditional-decode', priority: 0, enabled: false })
export class ConditionalDecodeManager implements DisaggregatedRequestManager {
  constructor(
    private readonly split: Split,
    private readonly here: LocalSite,
    private readonly observer: CoordinationObserver,
    @Inject(PREFILL_POOL) private readonly prefillers: RemotePool,
    @Inject(DECODE_POOL) private readonly decoders: RemotePool,
    @Inject(PLUGIN_OPTIONS) private readonly options: ConditionalDecodeOptions,
  ) {}

  dispatch(request: InferenceRequest, local: LocalExecution): Observable<ResponsePart> | undefined {
    if (!canSplit(request) || this.decoders.isEmpty) return undefined;
    const sites = this.#sites(local);
    if (sites === undefined) return undefined;
    // The first try has given its instance back when the split begins. Once a part is out, a failure is final.
    return this.split
      .whole(request, ifAvailable(this.decoders))
      .pipe(recoverBeforeFirst((error) => (this.#splits(request, error) ? this.split.run(request, sites) : undefined)));
  }

  /** Where the legs run when the prompt is not cached; undefined when nobody can prefill. */
  #sites(local: LocalExecution): SplitSites | undefined {
    if (!this.prefillers.isEmpty) return { prefill: this.prefillers, decode: this.decoders };
    if (!this.here.isAvailable) return undefined;
    return { prefill: this.here.of(local), decode: this.decoders, withoutDecode: local };
  }

  /** A refusal is the client's to see: the split would be refused as well. */
  #splits(request: InferenceRequest, error: unknown): boolean {
    if (isNotAvailable(error)) return true;
    if (!(error instanceof RemoteUnavailableError) || !error.isRetryable) return false;
    // Where everything fails, a second try of each request would double the load.
    if (this.options.onFailure !== 'split' || this.split.retriesLeft === 0) return false;
    this.observer.failed(request, error);
    return true;
  }
}
