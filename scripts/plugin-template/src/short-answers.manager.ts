import {
  DECODE_POOL,
  PLUGIN_OPTIONS,
  RequestManager,
  Split,
  type DisaggregatedRequestManager,
} from '@baton/coordination';
import { isJsonObject, type InferenceRequest, type ResponsePart } from '@baton/inference';
import { RemotePool } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { ShortAnswersOptions } from './short-answers.options.js';

/**
 * Keeps requests for short answers in one piece, on a decode instance: handing over the KV cache costs more there than two
 * instances save. Declines all others, so that the next manager is asked.
 */
@RequestManager({ name: 'short-answers', priority: -10 })
export class ShortAnswersManager implements DisaggregatedRequestManager {
  constructor(
    private readonly split: Split,
    @Inject(DECODE_POOL) private readonly decoders: RemotePool,
    @Inject(PLUGIN_OPTIONS) private readonly options: ShortAnswersOptions,
  ) {}

  dispatch(request: InferenceRequest): Observable<ResponsePart> | undefined {
    // A leg is coordinated by somebody else already.
    if (request.isLeg || this.decoders.isEmpty) return undefined;
    if (!(tokensAskedFor(request) <= this.options.maxTokens)) return undefined;
    // Nothing runs before the answer is subscribed to, and unsubscribing ends it all.
    return this.split.whole(request, this.decoders);
  }
}

/** The most tokens that the answer may have; infinite when the client does not say. */
function tokensAskedFor({ api, body }: InferenceRequest): number {
  const holder = api === 'generate' ? body['sampling_params'] : body;
  if (!isJsonObject(holder)) return Infinity;
  const limit = holder['max_completion_tokens'] ?? holder['max_tokens'];
  return typeof limit === 'number' ? limit : Infinity;
}
