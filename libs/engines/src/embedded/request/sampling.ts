import { invalidRequest, type JsonObject } from '@baton/inference';
import type { BodyFields } from './body-fields.js';

/** How the next token is chosen, in llama.cpp's terms. */
export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  readonly minP: number;
  /** 0 to 2^32 - 1; undefined when the request asked for none. */
  readonly seed: number | undefined;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** 1 is off. */
  readonly repetitionPenalty: number;
  /** Added to a token's logit. */
  readonly logitBias: ReadonlyMap<number, number>;
}

/** Below this, vLLM decodes greedily (`_SAMPLING_EPS`). */
const GREEDY_BELOW = 1e-5;
/** Lower temperatures overflow the logits (vLLM `_MAX_TEMP`). */
const LOWEST_TEMPERATURE = 0.01;
const SEEDS = 2 ** 32;
const MOST_BIASES = 1_024;

/** Reads the sampling fields, which have the same names in all three apis; the defaults are OpenAI's and vLLM's. */
export function readSampling(fields: BodyFields, vocabularySize: number): Sampling {
  const temperature = fields.number('temperature', { min: 0, max: 2 }) ?? 1;
  const seed = readSeed(fields);
  return {
    temperature: temperature < GREEDY_BELOW ? 0 : Math.max(LOWEST_TEMPERATURE, temperature),
    topP: fields.number('top_p', { above: 0, max: 1 }) ?? 1,
    topK: Math.max(0, fields.number('top_k', { min: -1, integer: true }) ?? 0),
    minP: fields.number('min_p', { min: 0, max: 1 }) ?? 0,
    seed: seed === undefined ? undefined : toSeed(seed),
    presencePenalty: fields.number('presence_penalty', { min: -2, max: 2 }) ?? 0,
    frequencyPenalty: fields.number('frequency_penalty', { min: -2, max: 2 }) ?? 0,
    repetitionPenalty: fields.number('repetition_penalty', { above: 0, max: 2 }) ?? 1,
    logitBias: readLogitBias(fields.object('logit_bias') ?? {}, fields.path('logit_bias'), vocabularySize),
  };
}

/** vLLM's seeds have 64 bits, more than a number holds. */
function readSeed(fields: BodyFields): number | undefined {
  const seed = fields.value('seed');
  return typeof seed === 'bigint' ? Number(BigInt.asUintN(32, seed)) : fields.number('seed', { integer: true });
}

/** Any integer as a seed of 32 bits. */
export function toSeed(seed: number): number {
  return ((seed % SEEDS) + SEEDS) % SEEDS;
}

function readLogitBias(biases: JsonObject, path: string, vocabularySize: number): Map<number, number> {
  if (Object.keys(biases).length > MOST_BIASES) {
    throw invalidRequest(`${path} must have at most ${MOST_BIASES} tokens.`, path);
  }
  return new Map(
    Object.entries(biases).map(([key, bias]) => {
      const param = `${path}.${key}`;
      const token = Number(key);
      if (!/^\d+$/.test(key) || token >= vocabularySize) {
        throw invalidRequest(
          `${path} has the key "${key}", which is no token id from 0 to ${vocabularySize - 1}.`,
          param,
        );
      }
      if (typeof bias !== 'number' || !(bias >= -100 && bias <= 100)) {
        throw invalidRequest(`${param} must be a number from -100 to 100.`, param);
      }
      return [token, bias];
    }),
  );
}
