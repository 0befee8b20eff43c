import { isJsonObject } from '@baton/inference';
import { refuse } from './checks.js';
import type { Check } from './field.js';

/** OpenAI's API takes 300; a sixteenth of a large vocabulary is for those who ban a script. */
const MAX_ENTRIES = 16_384;

/** `logit_bias`: numbers from -100 to 100 by token id. Whether an id is in the vocabulary is for the engine to say. */
export const isLogitBias: Check = (value, path) => {
  if (!isJsonObject(value)) refuse(path, 'must be an object');
  const entries = Object.entries(value);
  if (entries.length > MAX_ENTRIES) refuse(path, `must not name more than ${MAX_ENTRIES} tokens`);
  for (const [token, bias] of entries) {
    if (!/^\d+$/.test(token)) refuse(`${path}.${token}`, 'must be named by a token id');
    if (typeof bias !== 'number' || !(bias >= -100 && bias <= 100)) {
      refuse(`${path}.${token}`, 'must be a number from -100 to 100');
    }
  }
};
