import { isJsonObject } from '@baton/inference';

/** Names, or the beginning of an escape that could spell them, without which no key can be forbidden. */
const SIGNS = ['__proto__', 'constructor', String.raw`\u00`].map((sign) => Buffer.from(sign));

/** Whether JSON text may hold a key that {@link findForbiddenKey} would find. Fast, and wrong only on the safe side. */
export function mayHoldForbiddenKey(json: Buffer): boolean {
  return SIGNS.some((sign) => json.includes(sign));
}

/**
 * The first key of parsed JSON that could reach a prototype when objects are merged: `__proto__`, or `constructor`
 * with a `prototype` in it. `value` must not be nested too deeply for recursion.
 */
export function findForbiddenKey(value: unknown): string | undefined {
  if (Array.isArray(value)) return firstFound(value);
  if (!isJsonObject(value)) return undefined;
  if (Object.hasOwn(value, '__proto__')) return '__proto__';
  const inner = Object.hasOwn(value, 'constructor') ? value['constructor'] : undefined;
  if (isJsonObject(inner) && Object.hasOwn(inner, 'prototype')) return 'constructor.prototype';
  return firstFound(Object.values(value));
}

function firstFound(values: readonly unknown[]): string | undefined {
  for (const value of values) {
    const found = typeof value === 'object' ? findForbiddenKey(value) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
