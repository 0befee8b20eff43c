import { setImmediate as nextTurn } from 'node:timers/promises';
import { readJsonString } from './json-scan.js';

/** A large array of token ids inside of JSON text. */
export interface LargeArray {
  readonly key: string;
  /** Index of its opening bracket. */
  readonly start: number;
  /** Index behind its closing bracket. */
  readonly end: number;
  /** How many items it has. */
  readonly length: number;
}

/** Where the APIs have token ids: the token endpoint and completions. */
const KEYS = ['token_ids', 'prompt'].map((key) => ({ key, written: Buffer.from(`"${key}"`) }));
/** An id of more digits is in no vocabulary; whether it is an error is for those who look at each item. */
const MAX_DIGITS = 9;
/** Read in one turn of the event loop: some milliseconds. */
const TURN_BYTES = 4 * 1024 * 1024;

const [QUOTE, BACKSLASH, COLON, COMMA, ZERO, NINE] = [0x22, 0x5c, 0x3a, 0x2c, 0x30, 0x39];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];
const [SPACE, TAB, LINE_FEED, CARRIAGE_RETURN] = [0x20, 0x09, 0x0a, 0x0d];

/**
 * Finds arrays of at least `minBytes` bytes under the keys of token ids of the outermost object. Those that are found
 * are valid JSON, and so is what the text becomes when each is replaced by another value, if the text is JSON at all;
 * if not, it stays none. Where two keys may be one (it is there twice, or a key has escapes), none is found.
 */
export async function findLargeArrays(json: Buffer, minBytes: number): Promise<readonly LargeArray[]> {
  // A native search, to leave everything else alone.
  if (!KEYS.some(({ written }) => json.includes(written))) return [];
  const found: LargeArray[] = [];
  const seen = new Set<string>();
  let at = skipSpace(json, 0);
  if (json[at] !== OPEN_OBJECT) return [];
  do {
    const keyStart = skipSpace(json, at + 1);
    const keyEnd = endOfPlainKey(json, keyStart);
    if (keyEnd === undefined) return [];
    const colon = skipSpace(json, keyEnd);
    if (json[colon] !== COLON) return [];
    at = skipSpace(json, colon + 1);
    const key = candidateKey(json, keyStart, keyEnd);
    if (key !== undefined) {
      if (seen.has(key)) return [];
      seen.add(key);
      const array = json[at] === OPEN_LIST ? await readArray(json, at) : undefined;
      if (array !== undefined && array.end - at >= minBytes) found.push({ key, start: at, ...array });
      at = array?.end ?? at;
    }
    at = await endOfValue(json, at);
  } while (json[at] === COMMA);
  return found;
}

/** Index behind the key that begins at `start`; undefined when it has an escape or is none. */
function endOfPlainKey(json: Buffer, start: number): number | undefined {
  if (json[start] !== QUOTE) return undefined;
  const end = json.indexOf(QUOTE, start + 1) + 1;
  return end === 0 || json.subarray(start, end).includes(BACKSLASH) ? undefined : end;
}

function candidateKey(json: Uint8Array, start: number, end: number): string | undefined {
  const length = end - start;
  return KEYS.find(
    ({ written }) => written.length === length && written.every((byte, index) => byte === json[start + index]),
  )?.key;
}

/** The array of token ids that begins at `start`; undefined when it holds anything else, or nothing. */
async function readArray(json: Uint8Array, start: number): Promise<Pick<LargeArray, 'end' | 'length'> | undefined> {
  let [at, length] = [start + 1, 0];
  for (;;) {
    const part = readItems(json, at, at + TURN_BYTES);
    if (part === undefined) return undefined;
    at = part.end;
    length += part.length;
    if (part.isLast) return { end: at, length };
    // Others are served meanwhile: tens of megabytes would hold up every stream of this process for a tenth of a second.
    await nextTurn();
  }
}

/** Reads items and what follows each, up to the closing bracket or just beyond `enough`. */
function readItems(
  json: Uint8Array,
  start: number,
  enough: number,
): { end: number; length: number; isLast: boolean } | undefined {
  let at = start;
  for (let length = 1; ; length += 1) {
    at = skipSpace(json, at);
    const first = at;
    while (isDigit(json[at])) at += 1;
    const digits = at - first;
    if (digits === 0 || digits > MAX_DIGITS || (digits > 1 && json[first] === ZERO)) return undefined;
    at = skipSpace(json, at);
    const isLast = json[at] === CLOSE_LIST;
    if (!isLast && json[at] !== COMMA) return undefined;
    at += 1;
    if (isLast || at >= enough) return { end: at, length, isLast };
  }
}

/** Index of the comma or bracket behind the value that `at` is in; what is wrong with the value is not looked at. */
async function endOfValue(json: Buffer, start: number): Promise<number> {
  const place = { at: start, depth: 0, isInString: false };
  while (!leavesValue(json, place, place.at + TURN_BYTES)) await nextTurn();
  return place.at;
}

/** Reads on up to the end of a value, or at least up to `enough`. Whether it has come to the end. */
function leavesValue(json: Buffer, place: Place, enough: number): boolean {
  while (place.at < json.length && place.at < enough) {
    if (place.isInString) {
      const { end, isOver } = readJsonString(json, place.at, enough);
      place.at = end;
      place.isInString = !isOver;
      continue;
    }
    const byte = json[place.at];
    if (byte === QUOTE) place.isInString = true;
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) place.depth += 1;
    else if (place.depth === 0 && (byte === CLOSE_OBJECT || byte === CLOSE_LIST || byte === COMMA)) return true;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) place.depth -= 1;
    place.at += 1;
  }
  return place.at >= json.length;
}

/** Where in a value the search for its end has come to. */
interface Place {
  at: number;
  depth: number;
  isInString: boolean;
}

function skipSpace(json: Uint8Array, start: number): number {
  let at = start;
  while (isSpace(json[at])) at += 1;
  return at;
}

function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}
