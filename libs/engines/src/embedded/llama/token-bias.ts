import { TokenBias, type LlamaModel } from 'node-llama-cpp';

/**
 * Biases for the sampler. `TokenBias.set` leaves out tokens that end a generation, without a word; `min_tokens`
 * and `logit_bias` need just these, so they are put into its map directly. The map is internal; the library's
 * version is pinned, and another one without this map is refused here.
 */
export function tokenBias(model: LlamaModel, biases: ReadonlyMap<number, number>): TokenBias {
  const bias = TokenBias.for(model);
  const map: unknown = Reflect.get(bias, '_biases');
  if (!(map instanceof Map)) throw new Error('This version of node-llama-cpp keeps its token biases elsewhere.');
  for (const [token, logit] of biases) map.set(token, logit);
  return bias;
}
