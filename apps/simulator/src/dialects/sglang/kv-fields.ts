import { EngineError } from '../../engine/engine-error.js';
import type { Engine } from '../../engine/engine.js';
import type { Sampling } from '../../engine/sampling.js';
import type { InferenceAnswer } from '../../http/answer.js';
import { numberOf, type JsonObject } from '../../json.js';
import type { KvLeg } from '../../kv/kv-transfer.js';
import type { KvPart } from '../openai/parts.js';

const FIELDS = ['bootstrap_host', 'bootstrap_port', 'bootstrap_room'] as const;

/** The fields of one prompt of a request: a batch has lists of them, or one for all. */
function fieldsOf(body: JsonObject, index: number): JsonObject {
  return Object.fromEntries(
    FIELDS.map((name) => {
      const value = body[name];
      const list: readonly unknown[] | undefined = Array.isArray(value) ? value : undefined;
      return [name, list === undefined ? value : list[index]];
    }),
  );
}

/** The rank that the request names, or the room does, or the one that has least to do. */
function rankOf(engine: Engine, body: JsonObject, room: unknown): number {
  const { dataParallelSize: ranks } = engine.options;
  const named = numberOf(body['routed_dp_rank']) ?? numberOf(body['data_parallel_rank']);
  const ofRoom =
    typeof room === 'bigint' || Number.isInteger(room) ? Number(BigInt(`${String(room)}`) % BigInt(ranks)) : undefined;
  return engine.rankFor(`${named ?? ofRoom ?? ''}`);
}

/** The part of one prompt in the rendezvous. */
export function kvPartOf(engine: Engine, { body, exchange }: InferenceAnswer, index: number): KvPart {
  const fields = fieldsOf(body, index);
  const rank = rankOf(engine, body, fields['bootstrap_room']);
  const kv = engine.kv?.legFor({ headers: exchange.headers, params: undefined, body: { ...body, ...fields }, rank });
  return { kv, rank };
}

/**
 * What one side of a pair samples: a prefill makes one token, whatever is asked for. Several answers to one prompt
 * would share a room (SGLang #26486), which takes the scheduler down.
 */
export function sideSampling(sampling: Sampling, kv: KvLeg | undefined): Sampling {
  if (kv === undefined) return sampling;
  if (sampling.n > 1) throw new EngineError(500, 'Scheduler hit an exception: several requests in one bootstrap_room');
  return kv.leg === 'prefill' ? { ...sampling, maxTokens: 1, minTokens: 0 } : sampling;
}
