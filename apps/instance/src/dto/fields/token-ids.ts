import { RawJson } from '@baton/inference';
import { refuse } from './checks.js';
import type { Check } from './field.js';

/** Engines keep token ids in 32 bits. */
const MAX_TOKEN_ID = 2_147_483_647;

/**
 * A list of token ids. A plain loop: lists of millions of ids are legal, and class-validator's `each` would take
 * seconds for them. A long one may still be the bytes that it came in, which were checked when they were found. Whether
 * an id is in the vocabulary is for the engine to say.
 */
export const isTokenIds: Check = (value, path) => {
  if (value instanceof RawJson) return;
  if (!Array.isArray(value)) refuse(path, 'must be a list of token ids');
  const at = indexOfBadToken(value);
  if (at >= 0) refuse(`${path}[${at}]`, 'must be a token id, an integer of at least 0');
};

/** A list of at least one token id. */
export const isSomeTokenIds: Check = (value, path, owner) => {
  isTokenIds(value, path, owner);
  if (Array.isArray(value) && value.length === 0) refuse(path, 'must not be empty');
};

function indexOfBadToken(list: readonly unknown[]): number {
  for (let index = 0; index < list.length; index += 1) {
    const token = list[index];
    if (typeof token !== 'number' || !(token >= 0 && token <= MAX_TOKEN_ID) || token % 1 !== 0) return index;
  }
  return -1;
}
