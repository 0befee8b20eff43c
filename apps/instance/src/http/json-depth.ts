const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];

/**
 * Whether JSON text is nested deeper than `limit` levels. Reads bytes, before anything is parsed: `JSON.parse`
 * takes a million brackets without complaint, and what walks the result then overflows the stack.
 */
export function isDeeperThan(json: Uint8Array, limit: number): boolean {
  if (countUpTo(json, limit) <= limit) return false;
  let depth = 0;
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
      if (depth > limit) return true;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth -= 1;
    }
  }
  return false;
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
