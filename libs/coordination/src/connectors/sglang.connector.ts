import { legOf, type InferenceRequest, type JsonObject } from '@baton/inference';
import { randomBytes } from 'node:crypto';
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
import { decodeBody, unstreamedBody } from './leg-edits.js';

/** `--disaggregation-bootstrap-port` of P. */
const BOOTSTRAP_PORT = 8998;

/**
 * SGLang: P sends the KV to the D that meets it in a room.
 *
 * - Order: P and D at once, because P begins only when D has come and answers only when the KV was sent. Agreed before:
 *   P's bootstrap server and a room, always a fresh one: two requests in one room crash both schedulers (SGLang #40125).
 *   A room is below 2^53, so that every JSON reader on the way keeps its digits.
 * - P's leg: the client's own body with `bootstrap_host`, `bootstrap_port`, `bootstrap_room`. Its limits are not changed: a
 *   prefill server stops after a token by itself. It is not streamed, since nobody reads its tokens.
 * - P returns: its usage, and what it alone knows of the prompt.
 * - D's leg: the client's own body with the same three fields, in place of any that the client sent.
 * - What frees the KV: nothing is held once P has answered. Before that, P and D each wait up to 300 s for a side that does
 *   not come, and P's failure shows only on P's leg (llm-d #2433), so both legs are watched and closed together. Closing P
 *   in the middle of a transfer is said to leak KV (dynamo #14775), so a transfer under way is finished first. There is
 *   nothing to call that would free it.
 */
@NamedKvConnector({ name: 'sglang' })
export class SglangKvConnector implements KvConnector {
  readonly contract: KvContract = {
    order: 'concurrent',
    decoder: 'first',
    prefillMayAnswer: false,
    leaseMs: 300_000,
    cancellation: concurrentPlan({ gap: 'nothing' }),
  };

  rendezvous(request: InferenceRequest, sites: LegSites): Observable<JsonObject> {
    return defer(() => of({ ...this.sketch(request, sites), bootstrap_room: freshRoom() }));
  }

  sketch(_request: InferenceRequest, { prefill }: LegSites): JsonObject {
    const { host, ports } = kvAddressOf(prefill, 'sglang', [BOOTSTRAP_PORT]);
    return { bootstrap_host: host, bootstrap_port: ports[0], bootstrap_room: '[new]' };
  }

  prefillLeg(request: InferenceRequest, agreed: JsonObject): InferenceRequest {
    return legOf(request, { ...unstreamedBody(request.api, request.body), ...agreed });
  }

  handoffOf(_answer: JsonObject | undefined, agreed: JsonObject): HandoffDescriptor {
    return { params: agreed };
  }

  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    return legOf(request, { ...decodeBody(request.api, request.body), ...handoff?.params });
  }

  release(): Observable<ReleaseOutcome> {
    return of('unknown');
  }
}

/** 53 random bits; not 0, the room of SGLang's own health checks. */
function freshRoom(): number {
  return Number(randomBytes(8).readBigUInt64BE() >> 11n) || 1;
}
