import { legOf, type InferenceRequest } from '@baton/inference';
import { of, type Observable } from 'rxjs';
import { serialPlan } from './cancellation.js';
import {
  NamedKvConnector,
  type HandoffDescriptor,
  type KvConnector,
  type KvContract,
  type ReleaseOutcome,
} from './kv-connector.js';
import { decodeBody, prefillBody } from './leg-edits.js';

/**
 * A store that P writes to and D reads from, found by the hashes of the prompt: vLLM's ExampleConnector, the stores of
 * LMCache and Mooncake.
 *
 * - Order: P, then D, which is chosen when P has answered.
 * - P's leg: one token, not streamed, with the client's logprobs: when that token ends the answer, P's is the answer. P
 *   returns nothing of the KV.
 * - D's leg: the client's own body. What the store does not have, D reads itself.
 * - What frees the KV: the store does, by its own rules, in every phase; no side waits for another.
 */
@NamedKvConnector({ name: 'shared-storage' })
export class SharedStorageKvConnector implements KvConnector {
  readonly contract: KvContract = {
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: true,
    cancellation: serialPlan({ prefilling: 'close', gap: 'nothing', transferring: 'close' }),
  };

  prefillLeg(request: InferenceRequest): InferenceRequest {
    return legOf(request, prefillBody(request.api, request.body, { firstTokenCounts: true }));
  }

  handoffOf(): HandoffDescriptor {
    return { params: {} };
  }

  decodeLeg(request: InferenceRequest): InferenceRequest {
    return legOf(request, decodeBody(request.api, request.body));
  }

  release(): Observable<ReleaseOutcome> {
    return of('freed');
  }
}
