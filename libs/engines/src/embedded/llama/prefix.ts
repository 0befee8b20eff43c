/**
 * Prompts are evaluated in chunks that end at multiples of this many tokens, counted from the prompt's start. An
 * abort is seen between chunks (about 10 ms each for the demo model). Engines that hand KV states over must agree
 * on it, else they round differently.
 */
export const PREFILL_CHUNK_TOKENS = 128;

/** How many leading items two lists share. */
export function commonPrefixLength(a: readonly number[], b: readonly number[]): number {
  const length = Math.min(a.length, b.length);
  let same = 0;
  while (same < length && a[same] === b[same]) same += 1;
  return same;
}
