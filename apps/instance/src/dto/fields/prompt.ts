import { RawJson } from '@baton/inference';
import { refuse } from './checks.js';
import type { Check } from './field.js';
import { isSomeTokenIds } from './token-ids.js';

/** `prompt` of the completions API: a text, several texts, token ids, or several lists of token ids. None is empty. */
export const isPrompt: Check = (value, path, owner) => {
  if (typeof value === 'string') return notEmpty(value, path);
  if (value instanceof RawJson) return isSomeTokenIds(value, path, owner);
  if (!Array.isArray(value))
    refuse(path, 'must be a string, a list of strings, a list of token ids, or a list of those');
  if (value.length === 0) refuse(path, 'must not be empty');
  if (typeof value[0] === 'number') return isSomeTokenIds(value, path, owner);
  const isTexts = typeof value[0] === 'string';
  for (let index = 0; index < value.length; index += 1) {
    const item: unknown = value[index];
    const place = `${path}[${index}]`;
    if (!isTexts) isSomeTokenIds(item, place, owner);
    else if (typeof item !== 'string') refuse(place, 'must be a string, as the first item is');
    else notEmpty(item, place);
  }
};

function notEmpty(text: string, path: string): void {
  if (text === '') refuse(path, 'must not be empty');
}
