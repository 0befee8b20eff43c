/**
 * How long a JSON value is at least, in characters: all its strings and keys, and one for every value. Stops counting
 * beyond `enough`. `value` must not be nested too deeply for recursion.
 */
export function textSize(value: unknown, enough: number): number {
  if (typeof value === 'string') return value.length + 1;
  if (typeof value !== 'object' || value === null) return 1;
  let size = 1;
  for (const [key, item] of Object.entries(value)) {
    size += (Array.isArray(value) ? 0 : key.length) + textSize(item, enough - size);
    if (size > enough) return size;
  }
  return size;
}
