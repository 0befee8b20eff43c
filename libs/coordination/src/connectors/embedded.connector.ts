import { KV_TRANSFER_PARAMS, kvTransferParams, legOf, type InferenceRequest, type JsonObject } from '@baton/inference';
import { parseEndpoint, RemoteClient } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import { catchError, map, of, type Observable } from 'rxjs';
import { REMOTE_CLIENT } from '../coordination.constants.js';
import { NamedKvConnector, type HandoffDescriptor, type KvConnector, type ReleaseOutcome } from './kv-connector.js';
import { prefillBody } from './prefill-edits.js';

/** Field names as vLLM's NixlConnector has them, so that tools of the field read them. */
const ASK_FOR_HANDOFF: JsonObject = {
  do_remote_decode: true,
  do_remote_prefill: false,
  remote_engine_id: null,
  remote_request_id: null,
  remote_host: null,
  remote_port: null,
};

/**
 * Between Baton's embedded engines. Serial: D needs P's answer. D pulls the KV from P's side channel, and P frees
 * it when it was pulled, when it is released here, or at its deadline.
 */
@NamedKvConnector({ name: 'embedded' })
export class EmbeddedKvConnector implements KvConnector {
  constructor(@Inject(REMOTE_CLIENT) private readonly client: RemoteClient) {}

  prefillLeg(request: InferenceRequest): InferenceRequest {
    return legOf(request, { ...prefillBody(request.api, request.body), [KV_TRANSFER_PARAMS]: ASK_FOR_HANDOFF });
  }

  handoffOf(answer: JsonObject): HandoffDescriptor | undefined {
    const params = kvTransferParams(answer);
    return params?.['do_remote_prefill'] === true ? { params } : undefined;
  }

  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    return legOf(request, handoff ? { ...request.body, [KV_TRANSFER_PARAMS]: handoff.params } : request.body);
  }

  release({ params }: HandoffDescriptor): Observable<ReleaseOutcome> {
    const { remote_host: host, remote_port: port, remote_request_id: id } = params;
    const sideChannel = parseEndpoint(`http://${String(host)}:${String(port)}`);
    const path = `/kv/v1/handoffs/${encodeURIComponent(String(id))}`;
    return this.client.call(sideChannel, { method: 'DELETE', path }).pipe(
      map((): ReleaseOutcome => 'freed'),
      catchError((error: unknown) => of<ReleaseOutcome>(isGone(error) ? 'freed' : 'unknown')),
    );
  }
}

/** 404: taken, released or expired before; it holds no KV any more. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'status' in error && error.status === 404;
}
