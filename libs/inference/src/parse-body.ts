import { isJsonObject, parseJson } from './json.js';
import { findLargeArrays, type LargeArray } from './large-arrays.js';
import { RawJson } from './raw-json.js';

/** Options of {@link parseBody}. */
export interface ParseBodyOptions {
  /** Arrays of token ids whose text is at least this long are not parsed. Default 64 KiB. */
  readonly rawArraysFromBytes?: number;
  /** Parses what is not kept as it is. Throws SyntaxError when it is not JSON. Default {@link parseJson}. */
  readonly parse?: (text: string) => unknown;
}

const RAW_ARRAYS_FROM_BYTES = 64 * 1024;

/**
 * Parses the body of a request, but leaves large arrays of token ids (`token_ids`, `prompt`) as
 * they are: each becomes a {@link RawJson} that shares the memory of `json`.
 *
 * @param json UTF-8 without a byte order mark.
 * @throws SyntaxError when it is not JSON: the one that parsing the whole text throws.
 */
export async function parseBody(json: Buffer, options: ParseBodyOptions = {}): Promise<unknown> {
  const { rawArraysFromBytes = RAW_ARRAYS_FROM_BYTES, parse = parseJson } = options;
  const arrays = json.length < rawArraysFromBytes ? [] : await findLargeArrays(json, rawArraysFromBytes);
  if (arrays.length === 0) return parse(json.toString('utf8'));
  const rest = parseAround(json, arrays, parse);
  // What is wrong and where is said of the whole text.
  if (!isJsonObject(rest)) return parse(json.toString('utf8'));
  const raw = arrays.map(({ key, start, end, length }) => [key, new RawJson(json.subarray(start, end), length)]);
  return { ...rest, ...(Object.fromEntries(raw) as Record<string, RawJson>) };
}

/** The text with `null` in the place of each array, parsed; undefined when it is not JSON. */
function parseAround(json: Buffer, arrays: readonly LargeArray[], parse: (text: string) => unknown): unknown {
  const bounds = [0, ...arrays.flatMap(({ start, end }) => [start, end]), json.length];
  const pieces: string[] = [];
  for (let index = 0; index < bounds.length; index += 2) {
    pieces.push(json.toString('utf8', bounds[index], bounds[index + 1]));
  }
  try {
    return parse(pieces.join('null'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
