import { isJsonObject } from '@baton/inference';
import { refuse } from './checks.js';
import type { Check } from './field.js';

/** `logit_bias`: numbers from -100 to 100 by token id. Whether an id is in the vocabulary is for the engine to say. */
export const isLogitBias: Check = (value, path) => {
  if (!isJsonObject(value)) refuse(path, 'must be an object');
  for (const [token, bias] of Object.entries(value)) {
    if (!/^\d+$/.test(token)) refuse(`${path}.${token}`, 'must be named by a token id');
    if (typeof bias !== 'number' || !(bias >= -100 && bias <= 100)) {
      refuse(`${path}.${token}`, 'must be a number from -100 to 100');
    }
  }
};
