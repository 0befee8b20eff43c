import { InferenceError, legOf, type InferenceRequest, type JsonObject, type PrefillShare } from '@baton/inference';
import {
  AddressList,
  callJson,
  ConnectorMismatchError,
  RemoteClient,
  RemoteUnavailableError,
  type Endpoint,
  type LegSite,
} from '@baton/remotes';
import { Inject } from '@nestjs/common';
import { catchError, defer, EMPTY, ignoreElements, map, of, tap, type Observable } from 'rxjs';
import { COORDINATION_OPTIONS, REMOTE_CLIENT } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { serialPlan } from './cancellation.js';
import {
  NamedKvConnector,
  type HandoffDescriptor,
  type KvConnector,
  type KvContract,
  type ReleaseMeans,
  type ReleaseOutcome,
} from './kv-connector.js';
import { prefillBody, withKvTransferParams } from './leg-edits.js';
import { sharedAnswer } from './prefill-share.js';
import { pullParams } from './pull-params.js';
import { sideChannelOf, type SideChannels } from './side-channel-of.js';

/** Field names as vLLM's NixlConnector has them, so that tools of the field read them. */
const ASK_FOR_HANDOFF: JsonObject = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_request_id: null,
  remote_host: null,
  remote_port: null,
};

/** How long it is believed of an endpoint that it takes embedded handoffs, or does not. */
const TAKES_FOR_MS = 30_000;

/**
 * Between Baton's embedded engines: D pulls the KV over HTTP from P's side channel.
 *
 * - Order: P, then D, which is chosen when P has answered and asked (`GET /baton/v1/info`) whether it is one of ours:
 *   another engine would take the params for NIXL's.
 * - P's leg: one token, not streamed, `do_remote_decode`; no `echo`.
 * - P returns: `kv_transfer_params` with `kv_connector: 'embedded'`, or none, which means no handoff.
 * - D's leg: the client's own body with P's params verbatim. It needs the side channel's address and the handoff's id;
 *   without the KV it reads the prompt itself. It gives the echo, which needs no more than the prompt.
 * - What frees the KV: P running: closing its leg. In the gap: `DELETE /kv/v1/handoffs/{id}` at P's side channel. D sent:
 *   P frees it when it was pulled; closing D's leg stops the pull, and the same `DELETE` frees the rest. Nobody comes: P's
 *   deadline for handoffs.
 * - When no D can: P runs D's leg, and takes its own KV.
 */
@NamedKvConnector({ name: 'embedded' })
export class EmbeddedKvConnector implements KvConnector {
  readonly contract: KvContract = {
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: false,
    leaseMs: 30_000,
    cancellation: serialPlan({ prefilling: 'await_answer', gap: 'release', transferring: 'close' }),
  };

  /** What endpoints answered, by origin; as many as there are endpoints. */
  readonly #asked = new Map<
    string,
    { readonly mismatch: ConnectorMismatchError | undefined; readonly until: number }
  >();

  readonly #sideChannels: SideChannels;

  constructor(
    @Inject(REMOTE_CLIENT) private readonly client: RemoteClient,
    @Inject(COORDINATION_OPTIONS) { kvPeers = [], kvApiKey, local }: CoordinationOptions,
  ) {
    this.#sideChannels = { peers: new AddressList(kvPeers), apiKey: kvApiKey, ownApiKey: local?.kvApiKey };
  }

  prefillLeg(request: InferenceRequest): InferenceRequest {
    const { api } = request;
    const { echo: _, ...body } = request.body;
    return legOf(request, withKvTransferParams(api, prefillBody(api, body), ASK_FOR_HANDOFF));
  }

  handoffOf(answer: JsonObject | undefined): HandoffDescriptor | undefined {
    const params = answer && pullParams(answer, 'embedded', 'nixl');
    const leaseMs = params?.['lease_ms'];
    return params && { params, ...(typeof leaseMs === 'number' ? { leaseMs } : {}) };
  }

  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    const { api, body } = request;
    return legOf(request, handoff ? withKvTransferParams(api, body, handoff.params) : body);
  }

  shareOf(request: InferenceRequest, answer: JsonObject): PrefillShare {
    const { lead: _, ...share } = sharedAnswer(request, answer);
    return share;
  }

  assertTakes({ endpoint }: LegSite): Observable<never> {
    if (endpoint === undefined) return EMPTY;
    return defer(() => {
      const known = this.#asked.get(endpoint.origin);
      return known !== undefined && known.until > performance.now() ? of(known.mismatch) : this.ask(endpoint);
    }).pipe(
      tap((mismatch) => {
        if (mismatch !== undefined) throw mismatch;
      }),
      ignoreElements(),
    );
  }

  rescueLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    return this.decodeLeg(request, handoff);
  }

  release({ params }: HandoffDescriptor, { prefill }: ReleaseMeans): Observable<ReleaseOutcome> {
    const sideChannel = sideChannelOf(params, prefill, this.#sideChannels);
    if (sideChannel === undefined) return of('unknown');
    const path = `/kv/v1/handoffs/${encodeURIComponent(String(params['remote_request_id']))}`;
    return this.client.call(sideChannel, { method: 'DELETE', path }).pipe(
      map((): ReleaseOutcome => 'freed'),
      catchError((error: unknown) => of<ReleaseOutcome>(isGone(error) ? 'freed' : 'unknown')),
    );
  }

  /** An endpoint that cannot be reached has said nothing: that failure goes on as it is. */
  private ask(endpoint: Endpoint): Observable<ConnectorMismatchError | undefined> {
    return callJson(this.client, endpoint, { method: 'GET', path: '/baton/v1/info' }).pipe(
      map(({ connectors }) =>
        Array.isArray(connectors) && connectors.includes('embedded')
          ? undefined
          : mismatchAt(
              endpoint,
              `it takes ${Array.isArray(connectors) ? connectors.join(', ').slice(0, 128) || 'none' : 'none'}`,
            ),
      ),
      catchError((error: unknown) => {
        if (!(error instanceof InferenceError) || error instanceof RemoteUnavailableError) throw error;
        return of(mismatchAt(endpoint, error.message));
      }),
      tap((mismatch) => {
        this.#asked.set(endpoint.origin, { mismatch, until: performance.now() + TAKES_FOR_MS });
      }),
    );
  }
}

function mismatchAt(endpoint: Endpoint, why: string): ConnectorMismatchError {
  return new ConnectorMismatchError(
    `Endpoint ${endpoint.name} does not take handoffs of connector embedded (GET /baton/v1/info: ${why}).`,
  );
}

/** 404: taken, released or expired before; it holds no KV any more. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'status' in error && error.status === 404;
}
