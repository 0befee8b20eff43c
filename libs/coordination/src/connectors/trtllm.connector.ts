import {
  InferenceError,
  isJsonObject,
  legOf,
  type InferenceApi,
  type InferenceRequest,
  type JsonObject,
} from '@baton/inference';
import { randomBytes } from 'node:crypto';
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
import { decodeBody, unstreamedBody } from './leg-edits.js';
import { decodeAndCancel } from './release.js';

const DISAGGREGATED_PARAMS = 'disaggregated_params';

/** Where the token ids that P has made of the prompt go on D, which then need not make them again. */
const PROMPT_IDS_FIELD: Readonly<Partial<Record<InferenceApi, string>>> = {
  completions: 'prompt',
  chat: 'prompt_token_ids',
};

/**
 * TensorRT-LLM, context first. Source: `tensorrt_llm/serve/openai_disagg_service.py`.
 *
 * - Order: P, then D, which is chosen when P has answered.
 * - P's leg: the client's own body, limits and logprobs included (a context server stops after a token by itself), not
 *   streamed, with `disaggregated_params`: `context_only` and a `disagg_request_id`, an integer of 63 bits: a bigint here.
 * - P returns: `choices[0].disaggregated_params` of its one choice, with `ctx_request_id`. A `finish_reason` other than
 *   `length` or `not_finished` means that P's answer is the whole answer and nothing is handed over.
 * - D's leg: the client's own body with P's params verbatim, but `generation_only`, and the prompt as P's
 *   `prompt_token_ids`. D gives P's first token itself.
 * - What frees P's KV: P running: closing its leg, until the KV is committed; then an abort does nothing, only D's transfer
 *   or `kv_transfer_timeout_ms` frees it (dynamo #14507). So in the gap D is sent for a token and left, and a transfer
 *   under way is finished first.
 */
@NamedKvConnector({ name: 'trtllm' })
export class TrtllmKvConnector implements KvConnector {
  readonly contract: KvContract = {
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: true,
    leaseMs: 60_000,
    cancellation: serialPlan({ prefilling: 'await_answer', gap: 'decode_and_cancel', transferring: 'finish' }),
  };

  prefillLeg(request: InferenceRequest): InferenceRequest {
    const params = { request_type: 'context_only', disagg_request_id: freshDisaggId() };
    return legOf(request, { ...unstreamedBody(request.api, request.body), [DISAGGREGATED_PARAMS]: params });
  }

  handoffOf(answer: JsonObject | undefined): HandoffDescriptor | undefined {
    const choices = answer?.['choices'];
    const choice: unknown = Array.isArray(choices) && choices.length === 1 ? choices[0] : undefined;
    if (!isJsonObject(choice)) throw badAnswer('must have exactly one choice');
    if (!IS_HANDED_OVER.has(choice['finish_reason'])) return undefined;
    const params = choice[DISAGGREGATED_PARAMS];
    if (!isJsonObject(params)) throw badAnswer(`has no ${DISAGGREGATED_PARAMS}`);
    if ((params['ctx_request_id'] ?? null) === null) throw badAnswer('has no ctx_request_id');
    return { params, notes: { prompt_token_ids: answer?.['prompt_token_ids'] } };
  }

  decodeLeg(request: InferenceRequest, handoff: HandoffDescriptor | undefined): InferenceRequest {
    const body = decodeBody(request.api, request.body);
    if (handoff === undefined) return legOf(request, body);
    const ids = handoff.notes?.['prompt_token_ids'] ?? undefined;
    const field = PROMPT_IDS_FIELD[request.api];
    return legOf(request, {
      ...body,
      ...(field === undefined || ids === undefined ? {} : { [field]: ids }),
      [DISAGGREGATED_PARAMS]: { ...handoff.params, request_type: 'generation_only' },
    });
  }

  release(handoff: HandoffDescriptor, means: ReleaseMeans): Observable<ReleaseOutcome> {
    return decodeAndCancel(this.decodeLeg(means.request, handoff), means);
  }
}

/** Finish reasons of a context leg whose answer goes on elsewhere; null is how some versions say it. */
const IS_HANDED_OVER = new Set<unknown>(['length', 'not_finished', null, undefined]);

/** 63 bits, the highest of them set: small numbers are those that a server counts itself. */
function freshDisaggId(): bigint {
  return BigInt.asUintN(62, randomBytes(8).readBigUInt64BE()) | (1n << 62n);
}

function badAnswer(what: string): InferenceError {
  return new InferenceError(`The answer of the context leg ${what}.`, { status: 502, code: 'bad_upstream_answer' });
}
