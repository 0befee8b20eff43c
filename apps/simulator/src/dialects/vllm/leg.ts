import { EngineError } from '../../engine/engine-error.js';
import type { Engine } from '../../engine/engine.js';
import type { Leg } from '../../faults/fault.js';
import type { InferenceAnswer } from '../../http/answer.js';
import { objectOf, type JsonObject } from '../../json.js';
import type { KvLeg } from '../../kv/kv-transfer.js';
import type { DialectOptions } from '../dialect.js';

/** Which leg a request is, by its own marks; by the server's role when it has none. */
export function legOf(
  params: JsonObject | undefined,
  requestId: string | undefined,
  body: JsonObject,
  options: DialectOptions,
): Leg {
  if (params?.['do_remote_prefill'] === true) return 'decode';
  if (params?.['do_remote_decode'] === true || params?.['ret_first_tok'] === true) return 'prefill';
  if (options.role !== 'both') return options.role;
  if (requestId?.includes('___decode_addr_') !== true) return 'none';
  return body['max_tokens'] === 1 ? 'prefill' : 'decode';
}

/** The request's part in the KV transfer, and the rank that runs it. */
export function kvLegOf(
  engine: Engine,
  answer: InferenceAnswer,
  params: JsonObject | undefined,
  tellsRefusals = true,
): { readonly kv: KvLeg | undefined; readonly rank: number } {
  const { headers } = answer.exchange;
  const rank = engine.rankFor(headers['x-data-parallel-rank']);
  return { rank, kv: engine.kv?.legFor({ headers, params, body: answer.body, rank, tellsRefusals }) };
}

/** Runs what may refuse the request; a refusal frees what its prefill holds, where the API does that. */
export function refusing<T>(kv: KvLeg | undefined, validate: () => T): T {
  try {
    return validate();
  } catch (error) {
    kv?.refused?.('validation');
    throw error;
  }
}

/** Prompt logprobs need what a prefill elsewhere has kept for itself: the engine falls over them. */
export function assertHasPrompt(kv: KvLeg | undefined, asked: boolean): void {
  if (asked && kv?.leg === 'decode' && kv.load !== undefined) throw new EngineError(500, 'Internal server error');
}

/** The model must be the one that is served; a request without one takes it. */
export function assertModel(body: JsonObject, served: string): void {
  const { model } = body;
  if (model === undefined || model === null || model === served) return;
  throw new EngineError(
    404,
    `The model \`${typeof model === 'string' ? model : JSON.stringify(model)}\` does not exist.`,
    'model',
  );
}

/** `kv_transfer_params` at the top of a body. */
export const topLevelParams = (body: JsonObject): JsonObject | undefined => objectOf(body['kv_transfer_params']);
