import { refuse } from './checks.js';
import type { Check } from './field.js';

/** OpenAI's API takes 4, vLLM any number; each is looked for at every token. */
export const MAX_STOP_STRINGS = 256;
/** Longer than any mark of an end; the whole of it may have to be held back. */
export const MAX_STOP_LENGTH = 4_096;

/** `stop`: one string or several; none is empty, since an empty one would match everywhere. */
export const isStop: Check = (value, path) => {
  if (typeof value === 'string') return isStopString(value, path);
  if (!Array.isArray(value)) refuse(path, 'must be a string or a list of strings');
  if (value.length > MAX_STOP_STRINGS) refuse(path, `must not have more than ${MAX_STOP_STRINGS} strings`);
  value.forEach((item: unknown, index) => isStopString(item, `${path}[${index}]`));
};

function isStopString(value: unknown, path: string): void {
  if (typeof value !== 'string') refuse(path, 'must be a string');
  if (value === '') refuse(path, 'must not be empty');
  if (value.length > MAX_STOP_LENGTH) refuse(path, `must not be longer than ${MAX_STOP_LENGTH} characters`);
}
