import {
  InferenceError,
  kvTransferParams,
  legOf,
  type InferenceRequest,
  type JsonObject,
  type PrefillShare,
} from '@baton/inference';
import { callJson, RemoteClient, type LegSite } from '@baton/remotes';
import { Inject } from '@nestjs/common';
import { defer, map, of, type Observable } from 'rxjs';
import { PREFILL_CLIENT } from '../coordination.constants.js';
import { serialPlan } from './cancellation.js';
import { kvAddressOf, kvAddressRequired } from './kv-address-of.js';
import {
  NamedKvConnector,
  type HandoffDescriptor,
  type KvConnector,
  type KvContract,
  type LegSites,
  type ReleaseOutcome,
} from './kv-connector.js';
import { decodeBody, prefillBody, withKvTransferParams } from './leg-edits.js';
import { continueFrom, continues, firstTokenOf } from './lmcache-first-token.js';
import { firstTokenLead, sharedAnswer } from './prefill-share.js';
import { assertOwnParams } from './pull-params.js';

/** Of D's receiver: init, alloc. Source: LMCache `examples/disagg_prefill`. */
const RECEIVER_PORTS = [7300, 7400];

/**
 * LMCache's disaggregated prefill: P pushes the KV to D's receiver and tells its first token.
 *
 * - Order: P, then D; but D is chosen first, because P is told D's receiver. Agreed before: that receiver, and the token
 *   ids of a text prompt of completions (`POST /tokenize` at P), so that both sides hash the same tokens.
 * - P's leg: one token, not streamed, `ret_first_tok` and `disagg_spec`; with the client's logprobs, since its token is the
 *   client's.
 * - P returns: `kv_transfer_params.first_tok`. When that ended the answer, P's is the whole answer.
 * - D's leg: the client's own body without params, its prompt with the first token at the end, its limits one less. The
 *   client gets the first token from P's answer, since D does not repeat it. Where D has to see the answer from its
 *   beginning (`lmcache-first-token.ts`), it makes the first token again instead, and then its body is the client's own.
 * - What frees the KV: P running: closing its leg. P pushes the KV as it makes it, and from then on it belongs to D's
 *   receiver: no API frees it and nobody waits for a D, so nothing is held in the gap, and D's leg may be closed at any time.
 * - LMCache's own proxy waits for a ZeroMQ notice that all KV has landed before it sends D. Baton has no ZeroMQ; a D that
 *   comes too early reads what is missing of the prompt itself.
 */
@NamedKvConnector({ name: 'lmcache' })
export class LmCacheKvConnector implements KvConnector {
  readonly contract: KvContract = {
    order: 'serial',
    decoder: 'first',
    prefillMayAnswer: true,
    cancellation: serialPlan({ prefilling: 'close', gap: 'nothing', transferring: 'close' }),
  };

  constructor(@Inject(PREFILL_CLIENT) private readonly client: RemoteClient) {}

  rendezvous(request: InferenceRequest, { prefill, decode }: LegSites): Observable<JsonObject> {
    return defer(() => {
      const receiver = receiverOf(decode);
      const prompt = request.api === 'completions' ? textPrompt(request.body) : undefined;
      if (prompt === undefined) return of(receiver);
      return this.tokenize(prefill, request.body, prompt).pipe(map((ids) => ({ ...receiver, ...ids })));
    });
  }

  /** P's own ids of a text are left out: its legs show the text. */
  sketch(_request: InferenceRequest, { decode }: LegSites): JsonObject {
    return receiverOf(decode);
  }

  prefillLeg(request: InferenceRequest, agreed: JsonObject): InferenceRequest {
    const { api } = request;
    const { prompt_token_ids: ids, ...receiver } = agreed;
    const body = withPrompt(prefillBody(api, request.body, { firstTokenCounts: true }), ids);
    const leg = legOf(request, body);
    const params = { ret_first_tok: true, disagg_spec: { req_id: leg.id, ...receiver } };
    return { ...leg, body: withKvTransferParams(api, body, params) };
  }

  handoffOf(answer: JsonObject | undefined, agreed: JsonObject): HandoffDescriptor | undefined {
    const params = answer && kvTransferParams(answer);
    if (params) assertOwnParams(params, 'lmcache');
    const first = answer && firstTokenOf(answer);
    return first && { params: {}, notes: { first, prompt_token_ids: agreed['prompt_token_ids'] } };
  }

  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    const body = withPrompt(decodeBody(request.api, request.body), handoff?.notes?.['prompt_token_ids']);
    const first = handoff?.notes?.['first'];
    return legOf(request, continues(request, first) ? continueFrom(request.api, body, first) : body);
  }

  shareOf(request: InferenceRequest, answer: JsonObject): PrefillShare {
    const share = sharedAnswer(request, answer);
    return continues(request, firstTokenOf(answer)) ? { ...share, lead: firstTokenLead(request, answer) } : share;
  }

  release(): Observable<ReleaseOutcome> {
    return of('unknown');
  }

  /** The ids that P itself makes of a text. */
  private tokenize({ endpoint }: LegSite, body: JsonObject, prompt: string): Observable<JsonObject> {
    if (endpoint === undefined) throw kvAddressRequired('lmcache', endpoint);
    const { model, add_special_tokens } = body;
    const question = {
      prompt,
      ...(model === undefined ? {} : { model }),
      ...(add_special_tokens === undefined ? {} : { add_special_tokens }),
    };
    return callJson(this.client, endpoint, { method: 'POST', path: '/tokenize', body: question }).pipe(
      map(({ tokens }) => {
        if (Array.isArray(tokens)) return { prompt_token_ids: tokens };
        throw new InferenceError('The prefill instance did not tokenize the prompt.', {
          status: 502,
          code: 'bad_upstream_answer',
        });
      }),
    );
  }
}

/**
 * Where D's receiver listens. Every rank of D has one of its own: an even number of ports are all init ports, then all
 * alloc ports; else the alloc ports are 100 above, as in LMCache's examples.
 */
function receiverOf(decode: LegSite | undefined): JsonObject {
  const { host, ports } = kvAddressOf(decode, 'lmcache', RECEIVER_PORTS);
  const isPaired = ports.length % 2 === 0;
  const init = isPaired ? ports.slice(0, ports.length / 2) : ports;
  const alloc = isPaired ? ports.slice(ports.length / 2) : ports.map((port) => port + 100);
  return { receiver_host: host, receiver_init_port: init, receiver_alloc_port: alloc };
}

/** The prompt of completions when it is one text. */
function textPrompt({ prompt }: JsonObject): string | undefined {
  const only: unknown = Array.isArray(prompt) && prompt.length === 1 ? prompt[0] : prompt;
  return typeof only === 'string' ? only : undefined;
}

function withPrompt(body: JsonObject, ids: unknown): JsonObject {
  return ids === undefined ? body : { ...body, prompt: ids };
}
