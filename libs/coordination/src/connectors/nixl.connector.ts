import { legOf, type InferenceRequest, type JsonObject } from '@baton/inference';
import type { Observable } from 'rxjs';
import { serialPlan } from './cancellation.js';
import {
  NamedKvConnector,
  type HandoffDescriptor,
  type KvConnector,
  type KvContract,
  type ReleaseMeans,
  type ReleaseOutcome,
} from './kv-connector.js';
import { decodeBody, prefillBody, withKvTransferParams } from './leg-edits.js';
import { pullParams } from './pull-params.js';
import { decodeAndCancel } from './release.js';

/** Fields as in vLLM `kv_connector/v1/nixl` and `docs/features/nixl_connector_usage`. */
const ASK_FOR_HANDOFF: JsonObject = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_block_ids: null,
  remote_host: null,
  remote_port: null,
};

/**
 * vLLM's NixlConnector: D pulls the blocks out of P's memory.
 *
 * - Order: P, then D, which is chosen when P has answered.
 * - P's leg: one token, not streamed (a stream of the token endpoint carries no params), `do_remote_decode`.
 * - P returns: `kv_transfer_params` with `do_remote_prefill` (also when its token ended the answer, so that a D has to
 *   take the KV in any case), or null when it was aborted, which means no handoff.
 * - D's leg: the client's own body with P's params verbatim; they are P's side channel and block ids, of which D
 *   silently prefills itself when one is missing.
 * - What frees P's blocks: P running: closing its leg. In the gap: only a D, so one is sent for a token and left
 *   (vLLM #25067: an abort after the end is ignored; no release API, #26635). D sent: D's end of reading. D's abort before
 *   that frees them too (D tells P), but may leave blocks held on D (#32255), so the transfer is finished first.
 *   Nobody comes: the lease (30 s; `kv_lease_duration`, #41383; before that 480 s).
 */
@NamedKvConnector({ name: 'nixl' })
export class NixlKvConnector implements KvConnector {
  readonly contract: KvContract = {
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: false,
    leaseMs: 30_000,
    cancellation: serialPlan({ prefilling: 'await_answer', gap: 'decode_and_cancel', transferring: 'finish' }),
  };

  prefillLeg(request: InferenceRequest): InferenceRequest {
    const { api, body } = request;
    return legOf(request, withKvTransferParams(api, prefillBody(api, body), ASK_FOR_HANDOFF));
  }

  handoffOf(answer: JsonObject | undefined): HandoffDescriptor | undefined {
    const params = answer && pullParams(answer, 'nixl', 'nixl');
    return params && { params };
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
