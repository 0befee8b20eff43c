const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];

/** What JSON text may hold at most. */
export interface JsonBounds {
  /** Levels of nesting. */
  readonly depthLimit: number;
  /** Objects and lists together. */
  readonly containerLimit: number;
}

/**
 * What is too much of JSON text: its nesting, or its objects and lists. Reads bytes, before anything is parsed:
 * `JSON.parse` takes a million brackets without complaint, and what walks the result then overflows the stack; eighteen
 * million empty objects keep it busy for as many seconds.
 */
export function jsonFault(json: Uint8Array, bounds: JsonBounds): 'too_deep' | 'too_many' | undefined {
  const { depthLimit, containerLimit } = bounds;
  if (countUpTo(json, Math.min(depthLimit, containerLimit)) <= Math.min(depthLimit, containerLimit)) return undefined;
  let [depth, containers] = [0, 0];
  let isInString = false;
  for (let index = 0; index < json.length; index += 1) {
    const byte = json[index];
    if (isInString) {
      if (byte === BACKSLASH) index += 1;
      else if (byte === QUOTE) isInString = false;
    } else if (byte === QUOTE) {
      isInString = true;
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      depth += 1;
      containers += 1;
      if (depth > depthLimit) return 'too_deep';
      if (containers > containerLimit) return 'too_many';
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth -= 1;
    }
  }
  return undefined;
}

/**
 * Opening brackets anywhere, strings included, counted until there are more than `limit`. Text with fewer cannot be
 * deeper, and the search is native: a list of a million token ids has one bracket and is not read byte by byte.
 */
function countUpTo(json: Uint8Array, limit: number): number {
  let count = 0;
  for (const bracket of [OPEN_OBJECT, OPEN_LIST]) {
    for (let at = json.indexOf(bracket); at >= 0 && count <= limit; at = json.indexOf(bracket, at + 1)) count += 1;
  }
  return count;
}
