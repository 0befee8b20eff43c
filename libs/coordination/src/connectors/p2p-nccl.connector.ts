import { legOf, newId, type InferenceRequest, type JsonObject } from '@baton/inference';
import type { KvAddress } from '@baton/remotes';
import { defer, of, type Observable } from 'rxjs';
import { concurrentPlan } from './cancellation.js';
import { kvAddressOf } from './kv-address-of.js';
import {
  NamedKvConnector,
  type HandoffDescriptor,
  type KvConnector,
  type KvContract,
  type LegSites,
  type ReleaseOutcome,
} from './kv-connector.js';
import { decodeBody, prefillBody } from './leg-edits.js';

/**
 * vLLM's P2pNcclConnector: the request id says where both sides listen.
 *
 * - Order: P and D at once. Agreed before: one id for both legs, sent as `x-request-id`, that holds the zmq addresses of
 *   both: `___prefill_addr_HOST:PORT___decode_addr_HOST:PORT_` and 32 hexadecimal digits. They are not the HTTP addresses and
 *   cannot be derived from them, so each endpoint has to have its KV address configured.
 * - P's leg: one token, not streamed. P returns nothing of the KV.
 * - D's leg: the client's own body. Neither leg has params.
 * - What frees the KV: P's, that it was sent; D's buffer, that its request has ended. A transfer under way is finished first,
 *   so that D's buffer is emptied. There is nothing to call that would free it.
 * - Both engines need `VLLM_DISABLE_REQUEST_ID_RANDOMIZATION` (vLLM #34415): the suffix that vLLM adds to ids since #27987
 *   makes them differ.
 */
@NamedKvConnector({ name: 'p2p-nccl' })
export class P2pNcclKvConnector implements KvConnector {
  readonly contract: KvContract = {
    order: 'concurrent',
    decoder: 'first',
    prefillMayAnswer: false,
    cancellation: concurrentPlan({ gap: 'nothing' }),
  };

  rendezvous(_request: InferenceRequest, { prefill, decode }: LegSites): Observable<JsonObject> {
    return defer(() => {
      const p = zmqAddress(kvAddressOf(prefill, 'p2p-nccl'));
      const d = zmqAddress(kvAddressOf(decode, 'p2p-nccl'));
      return of({ request_id: `___prefill_addr_${p}___decode_addr_${d}_${newId().replaceAll('-', '')}` });
    });
  }

  /** Both sides are told each other by the id of their leg, which is not shown. */
  sketch(): JsonObject {
    return {};
  }

  prefillLeg(request: InferenceRequest, agreed: JsonObject): InferenceRequest {
    return withId(legOf(request, prefillBody(request.api, request.body)), agreed);
  }

  handoffOf(_answer: JsonObject | undefined, agreed: JsonObject): HandoffDescriptor {
    return { params: {}, notes: agreed };
  }

  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    return withId(legOf(request, decodeBody(request.api, request.body)), handoff?.notes);
  }

  release(): Observable<ReleaseOutcome> {
    return of('unknown');
  }
}

const zmqAddress = ({ host, ports }: KvAddress): string => `${host}:${String(ports[0])}`;

function withId(leg: InferenceRequest, agreed: JsonObject | undefined): InferenceRequest {
  const id = agreed?.['request_id'];
  return typeof id === 'string' ? { ...leg, id } : leg;
}
