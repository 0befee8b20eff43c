import { InferenceError, isJsonObject, legOf, newId, type InferenceRequest, type JsonObject } from '@baton/inference';
import { callJson, RemoteClient } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import { randomInt } from 'node:crypto';
import { defer, map, type Observable } from 'rxjs';
import { PREFILL_CLIENT } from '../coordination.constants.js';
import { concurrentPlan } from './cancellation.js';
import { kvServer } from './kv-address-of.js';
import {
  NamedKvConnector,
  type HandoffDescriptor,
  type KvConnector,
  type KvContract,
  type LegSites,
  type ReleaseMeans,
  type ReleaseOutcome,
} from './kv-connector.js';
import { decodeBody, prefillBody, withKvTransferParams, withoutStops } from './leg-edits.js';
import { decodeAndCancel } from './release.js';

/** Of P's bootstrap server: `VLLM_MOONCAKE_BOOTSTRAP_PORT`. */
const BOOTSTRAP_PORT = 8998;

/**
 * vLLM's MooncakeConnector: P pushes the KV to a D that asks for the same transfer.
 *
 * - Order: P and D at once. Agreed before: a fresh `transfer_id`, and from `GET /query` of P's bootstrap server the
 *   `engine_id` of one of its data parallel ranks.
 * - P's leg: one token, not streamed, `do_remote_decode` and the transfer id. When P has several ranks, the header
 *   `X-data-parallel-rank` sends it to the one that was chosen. Nothing may end its answer but the limit of one token: P
 *   drops the KV when the first token is the end of the answer, and D would wait up to 480 s (vLLM #46008).
 * - P returns: no `kv_transfer_params`, ever; D's are made here.
 * - D's leg: the client's own body with `do_remote_prefill`, the transfer id, P's bootstrap address and engine id.
 * - What frees P's KV: P running: closing its leg. Later only D: when it has received all, or when it is aborted before it
 *   was scheduled (it tells P). A D that is closed before its engine core knows of the request leaks P's blocks until the
 *   timeout (#50425), so a transfer under way is finished first. Nobody comes: `VLLM_MOONCAKE_ABORT_REQUEST_TIMEOUT`, 480 s.
 *   A release sends D for a token, and leaves it.
 */
@NamedKvConnector({ name: 'mooncake' })
export class MooncakeKvConnector implements KvConnector {
  readonly contract: KvContract = {
    order: 'concurrent',
    decoder: 'first',
    prefillMayAnswer: false,
    leaseMs: 480_000,
    cancellation: concurrentPlan({ gap: 'decode_and_cancel' }),
  };

  constructor(@Inject(PREFILL_CLIENT) private readonly client: RemoteClient) {}

  rendezvous(_request: InferenceRequest, { prefill }: LegSites): Observable<JsonObject> {
    return defer(() => {
      const bootstrap = kvServer(prefill, 'mooncake', BOOTSTRAP_PORT);
      return callJson(this.client, bootstrap, { method: 'GET', path: '/query' }).pipe(
        map((ranks) => ({
          transfer_id: newId(),
          remote_bootstrap_addr: bootstrap.origin,
          ...chooseRank(ranks, bootstrap.name),
        })),
      );
    });
  }

  sketch(_request: InferenceRequest, { prefill }: LegSites): JsonObject {
    const { origin } = kvServer(prefill, 'mooncake', BOOTSTRAP_PORT);
    return { transfer_id: '[new]', remote_bootstrap_addr: origin, remote_engine_id: '[asked-of-prefill]' };
  }

  prefillLeg(request: InferenceRequest, agreed: JsonObject): InferenceRequest {
    const { api } = request;
    const body = withoutStops(api, prefillBody(api, request.body));
    const { transfer_id, rank } = agreed;
    const params = { do_remote_decode: true, do_remote_prefill: false, transfer_id };
    const leg = legOf(request, withKvTransferParams(api, body, params));
    return typeof rank === 'string' ? { ...leg, headers: { ...leg.headers, 'x-data-parallel-rank': rank } } : leg;
  }

  handoffOf(_answer: JsonObject | undefined, agreed: JsonObject): HandoffDescriptor {
    const { remote_bootstrap_addr, remote_engine_id, transfer_id } = agreed;
    return {
      params: {
        do_remote_decode: false,
        do_remote_prefill: true,
        remote_bootstrap_addr,
        remote_engine_id,
        transfer_id,
      },
    };
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

/** One of P's data parallel ranks, which are the keys of `/query`; `rank` only when there is a choice. */
function chooseRank(ranks: JsonObject, name: string): JsonObject {
  const known = Object.entries(ranks).flatMap(([rank, engine]) =>
    isJsonObject(engine) && typeof engine['engine_id'] === 'string' ? [{ rank, id: engine['engine_id'] }] : [],
  );
  const chosen = known[known.length > 1 ? randomInt(known.length) : 0];
  if (chosen === undefined) {
    throw new InferenceError('The bootstrap server of the prefill instance knows no engine.', {
      status: 502,
      code: 'bad_upstream_answer',
      cause: new Error(`GET /query of ${name} names no engine_id.`),
    });
  }
  return { remote_engine_id: chosen.id, ...(known.length > 1 ? { rank: chosen.rank } : {}) };
}
