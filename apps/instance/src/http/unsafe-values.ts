import { isJsonObject } from '@baton/inference';

/** What parsed JSON holds that must go no further. */
export type UnsafeValue = '__proto__' | 'constructor.prototype' | 'lone surrogate' | 'infinite number';

/** Names, or the beginning of an escape that could spell them or half a character, without which nothing is unsafe. */
const SIGNS = ['__proto__', 'constructor', String.raw`\u00`, String.raw`\ud`, String.raw`\uD`].map((sign) =>
  Buffer.from(sign),
);
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether JSON text may hold what {@link findUnsafeValue} would find, numbers aside. Fast, and wrong only on the safe side. */
export function mayHoldUnsafeValue(json: Buffer): boolean {
  return SIGNS.some((sign) => json.includes(sign));
}

/**
 * The first thing in parsed JSON that could do harm further on: a key that could reach a prototype when objects are merged
 * (`__proto__`, or `constructor` with a `prototype` in it), half a character (no tokenizer can encode it), or a number
 * beyond the largest one (written out again it would be null). `value` must not be nested too deeply for recursion.
 */
export function findUnsafeValue(value: unknown): UnsafeValue | undefined {
  if (typeof value === 'string') return LONE_SURROGATE.test(value) ? 'lone surrogate' : undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'infinite number';
  if (Array.isArray(value)) return firstFound(value);
  if (!isJsonObject(value)) return undefined;
  if (Object.hasOwn(value, '__proto__')) return '__proto__';
  const inner = Object.hasOwn(value, 'constructor') ? value['constructor'] : undefined;
  if (isJsonObject(inner) && Object.hasOwn(inner, 'prototype')) return 'constructor.prototype';
  return firstFound(Object.keys(value)) ?? firstFound(Object.values(value));
}

function firstFound(values: readonly unknown[]): UnsafeValue | undefined {
  for (const value of values) {
    const found = findUnsafeValue(value);
    if (found !== undefined) return found;
  }
  return undefined;
}
