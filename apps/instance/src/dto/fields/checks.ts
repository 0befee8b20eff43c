import { invalidRequest, isJsonObject } from '@baton/inference';
import { checkFields, type Check } from './field.js';

/** The bounds of a number, both included unless `above` is used. */
export interface NumberBounds {
  readonly integer?: boolean;
  readonly min?: number;
  readonly max?: number;
  /** Excluded lower bound. */
  readonly above?: number;
}

/** A number within bounds. */
export const isNumber = (bounds: NumberBounds): Check => {
  const { integer = false, min = -Infinity, max = Infinity, above = -Infinity } = bounds;
  const allowed = describeNumber(bounds);
  return (value, path) => {
    const isType = integer ? Number.isSafeInteger(value) : Number.isFinite(value);
    if (!isType || Number(value) < min || Number(value) > max || Number(value) <= above) {
      refuse(path, `must be ${allowed}`);
    }
  };
};

/** Any integer that fits in 64 bits; a `bigint` is one whose digits a number could not hold. Source: vLLM. */
export const isInteger: Check = (value, path) => {
  const isOne = typeof value === 'bigint' ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value);
  if (!isOne) refuse(path, 'must be an integer of 64 bits');
};

export const isBoolean: Check = (value, path) => {
  if (typeof value !== 'boolean') refuse(path, 'must be true or false');
};

export const isText: Check = (value, path) => {
  if (typeof value !== 'string') refuse(path, 'must be a string');
};

/** One of a few words. */
export const isOneOf =
  (words: readonly string[]): Check =>
  (value, path) => {
    if (!words.some((word) => word === value)) refuse(path, `must be one of ${words.join(', ')}`);
  };

/** A JSON object with any fields. */
export const isObject: Check = (value, path) => {
  if (!isJsonObject(value)) refuse(path, 'must be an object');
};

/** A JSON object with the fields of `dto`, and any others. */
export const isObjectOf =
  (dto: abstract new () => object): Check =>
  (value, path) => {
    if (!isJsonObject(value)) refuse(path, 'must be an object');
    checkFields(dto, value, path);
  };

/** All of several checks. */
export const all =
  (...checks: readonly Check[]): Check =>
  (value, path, owner) => {
    for (const check of checks) check(value, path, owner);
  };

/**
 * Throws the 400 for `path`; `problem` completes its name to a sentence. Its code is null, as OpenAI's API has it and
 * as engines answer the same fault: `param` says all.
 */
export function refuse(path: string, problem: string): never {
  throw invalidRequest(`${path} ${problem}.`, path);
}

function describeNumber({ integer = false, min, max, above }: NumberBounds): string {
  const kind = integer ? 'an integer' : 'a number';
  const lower = above === undefined ? (min === undefined ? '' : `of at least ${min}`) : `above ${above}`;
  const upper = max === undefined ? '' : `at most ${max}`;
  if (min !== undefined && max !== undefined) return `${kind} from ${min} to ${max}`;
  return [kind, [lower, upper].filter(Boolean).join(' and ')].filter(Boolean).join(' ');
}
