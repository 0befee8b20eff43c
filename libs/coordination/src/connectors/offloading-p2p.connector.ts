import { legOf, newId, type InferenceRequest, type JsonObject } from '@baton/inference';
import { defer, of, type Observable } from 'rxjs';
import { concurrentPlan } from './cancellation.js';
import { kvAddressOf } from './kv-address-of.js';
import {
  NamedKvConnector,
  type HandoffDescriptor,
  type KvConnector,
  type KvContract,
  type LegSites,
  type ReleaseMeans,
  type ReleaseOutcome,
} from './kv-connector.js';
import { decodeBody, prefillBody, withKvTransferParams } from './leg-edits.js';
import { decodeAndCancel } from './release.js';

/** Of P's side channel: `VLLM_P2P_SIDE_CHANNEL_PORT`. */
const SIDE_CHANNEL_PORT = 5710;

/**
 * The p2p tier of vLLM's OffloadingConnector (`kv_offload/tiering/p2p`; vLLM #42285, #47636, #47987): D asks P for the
 * blocks of a request by an id that both were given.
 *
 * - Order: P and D at once. Agreed before: a fresh `kv_request_id`, and P's side channel.
 * - P's leg: one token, not streamed, `remote_decoder` with the id. Without the id P would store nothing.
 * - P returns: nothing that D needs.
 * - D's leg: the client's own body with `remote_prefiller`: the id, and P's address. Both servers need one `PYTHONHASHSEED`,
 *   since blocks are named by hash. A transfer that fails is a miss: D reads the prompt itself.
 * - What frees P's blocks: P running: closing its leg. Later D's request for them; a release sends D for a token, and leaves
 *   it. Nobody comes: P drops them after 60 s.
 */
@NamedKvConnector({ name: 'offloading-p2p' })
export class OffloadingP2pKvConnector implements KvConnector {
  readonly contract: KvContract = {
    order: 'concurrent',
    decoder: 'first',
    prefillMayAnswer: false,
    leaseMs: 60_000,
    cancellation: concurrentPlan({ gap: 'decode_and_cancel' }),
  };

  rendezvous(request: InferenceRequest, sites: LegSites): Observable<JsonObject> {
    return defer(() => of({ ...this.sketch(request, sites), kv_request_id: newId() }));
  }

  sketch(_request: InferenceRequest, { prefill }: LegSites): JsonObject {
    const { host, ports } = kvAddressOf(prefill, 'offloading-p2p', [SIDE_CHANNEL_PORT]);
    return { kv_request_id: '[new]', remote_host: host, remote_port: ports[0] };
  }

  prefillLeg(request: InferenceRequest, { kv_request_id }: JsonObject): InferenceRequest {
    const { api } = request;
    const params = { remote_decoder: { kv_request_id } };
    return legOf(request, withKvTransferParams(api, prefillBody(api, request.body), params));
  }

  handoffOf(_answer: JsonObject | undefined, agreed: JsonObject): HandoffDescriptor {
    return { params: { remote_prefiller: agreed } };
  }

  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    const { api } = request;
    const body = decodeBody(api, request.body);
    return legOf(request, handoff ? withKvTransferParams(api, body, handoff.params) : body);
  }

  release(handoff: HandoffDescriptor, means: ReleaseMeans): Observable<ReleaseOutcome> {
    return decodeAndCancel(this.decodeLeg(means.request, handoff), means);
  }
}
