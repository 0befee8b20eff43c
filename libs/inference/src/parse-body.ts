import { setImmediate as nextTurn } from 'node:timers/promises';
import { JsonScan, type JsonBounds, type JsonFault } from './json-scan.js';
import { isJsonObject, parseJson } from './json.js';
import { findLargeArrays, type LargeArray } from './large-arrays.js';
import { RawJson } from './raw-json.js';

/** Options of {@link parseBody}. */
export interface ParseBodyOptions {
  /** Arrays of token ids whose text is at least this long are not parsed. Default 64 KiB; Infinity parses all. */
  readonly rawArraysFromBytes?: number;
  /** What the text may hold, without the arrays that are not parsed. Default: anything. */
  readonly bounds?: JsonBounds;
  /** Parses what is not kept as it is. Throws SyntaxError when it is not JSON. Default {@link parseJson}. */
  readonly parse?: (text: string, facts: JsonFacts) => unknown;
}

/** What is known of JSON text before it is parsed. */
export type JsonFacts = Pick<JsonScan, 'hasLongInteger' | 'hasHugeNumber'>;

/** JSON text has too much of something. */
export class JsonBoundsError extends Error {
  override readonly name = 'JsonBoundsError';

  constructor(
    readonly fault: JsonFault,
    readonly limit: number,
  ) {
    super(`JSON text has more than ${limit}: ${fault}.`);
  }
}

const RAW_ARRAYS_FROM_BYTES = 64 * 1024;
/** Read in one turn of the event loop: some milliseconds. */
const TURN_BYTES = 4 * 1024 * 1024;

/**
 * Parses the body of a request, but leaves large arrays of token ids (`token_ids`, `prompt`) as they are: each becomes a
 * {@link RawJson} that shares the memory of `json`. Everything else is counted before it is parsed. Others are served
 * between the steps of a long text.
 *
 * @param json UTF-8 without a byte order mark.
 * @throws SyntaxError when it is not JSON.
 * @throws JsonBoundsError when it holds too much.
 */
export async function parseBody(json: Buffer, options: ParseBodyOptions = {}): Promise<unknown> {
  const { rawArraysFromBytes = RAW_ARRAYS_FROM_BYTES, bounds = {}, parse = parseJson } = options;
  const arrays = json.length < rawArraysFromBytes ? [] : await findLargeArrays(json, rawArraysFromBytes);
  const rest = segmentsAround(json, arrays);
  const facts = await scanned(json, rest, bounds);
  const text = rest.map(([start, end]) => json.toString('utf8', start, end)).join('null');
  if (text.length > TURN_BYTES) await nextTurn();
  if (arrays.length === 0) return parse(text, facts);
  const parsed = parseAround(text, facts, parse);
  // What is wrong and where is said of the whole text, unless that takes long.
  if (parsed === undefined && json.length > TURN_BYTES) throw new SyntaxError('Unexpected token in JSON');
  if (!isJsonObject(parsed)) return parse(json.toString('utf8'), facts);
  const raw = arrays.map(({ key, start, end, length }) => [key, new RawJson(json.subarray(start, end), length)]);
  return { ...parsed, ...(Object.fromEntries(raw) as Record<string, RawJson>) };
}

function segmentsAround(json: Buffer, arrays: readonly LargeArray[]): readonly (readonly [number, number])[] {
  const starts = [0, ...arrays.map(({ end }) => end)];
  const ends = [...arrays.map(({ start }) => start), json.length];
  return starts.map((start, index) => [start, ends[index] ?? json.length] as const);
}

async function scanned(
  json: Buffer,
  segments: readonly (readonly [number, number])[],
  bounds: JsonBounds,
): Promise<JsonFacts> {
  const scan = new JsonScan(json, bounds);
  for (const [start, end] of segments) {
    for (let at = start; at < end;) {
      if (at > start) await nextTurn();
      const read = scan.read(at, Math.min(end, at + TURN_BYTES));
      if (typeof read !== 'number') throw new JsonBoundsError(read, bounds[read] ?? Infinity);
      at = read;
    }
  }
  return scan;
}

/** The text with `null` in the place of each array, parsed; undefined when it is not JSON. */
function parseAround(text: string, facts: JsonFacts, parse: NonNullable<ParseBodyOptions['parse']>): unknown {
  try {
    return parse(text, facts);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
