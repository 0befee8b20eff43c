import { isJsonObject, stringifyJson, type JsonObject } from './json.js';

/**
 * A large JSON array of token ids, kept as the bytes it came in: a server that only passes a prompt on neither makes
 * millions of numbers of it nor writes them out again.
 */
export class RawJson {
  // Private fields: what walks an object's keys (the search for forbidden ones, class-transformer) finds none here.
  readonly #bytes: Uint8Array;
  readonly #length: number;

  /**
   * @param bytes the text of the array from bracket to bracket; whoever makes one has checked that it is JSON.
   * @param length how many items it has.
   */
  constructor(bytes: Uint8Array, length: number) {
    this.#bytes = bytes;
    this.#length = length;
  }

  /** The text of the array. All legs of a request share it: not to be written to. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** How many items the array has. */
  get length(): number {
    return this.#length;
  }

  /** The items. Every call parses them anew. */
  toArray(): number[] {
    return JSON.parse(new TextDecoder().decode(this.#bytes)) as number[];
  }

  /** For a `JSON.stringify` that does not know of it: right, but as expensive as any array. */
  toJSON(): number[] {
    return this.toArray();
  }
}

/**
 * The JSON text of `body` in pieces to be sent one after another. A {@link RawJson} that is a field of it, or a field
 * of one of its objects, is a piece of its own and not copied.
 */
export function jsonChunks(body: JsonObject): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let text = '';
  for (const piece of piecesOf(body, RAW_LEVELS)) {
    if (typeof piece === 'string') {
      text += piece;
      continue;
    }
    chunks.push(Buffer.from(text), piece);
    text = '';
  }
  if (text !== '') chunks.push(Buffer.from(text));
  return chunks;
}

const RAW_LEVELS = 2;

function* piecesOf(object: JsonObject, levels: number): Generator<string | Uint8Array> {
  if (!holdsRaw(object, levels)) {
    yield stringifyJson(object);
    return;
  }
  let opening = '{';
  for (const [key, value] of Object.entries(object)) {
    const isPlain = !(value instanceof RawJson) && !(isJsonObject(value) && holdsRaw(value, levels - 1));
    // As JSON.stringify does, fields without a value in JSON are left out.
    const text = isPlain ? (stringifyJson(value) as string | undefined) : '';
    if (text === undefined) continue;
    yield `${opening}${JSON.stringify(key)}:${text}`;
    if (value instanceof RawJson) yield value.bytes;
    else if (!isPlain) yield* piecesOf(value as JsonObject, levels - 1);
    opening = ',';
  }
  yield '}';
}

function holdsRaw(object: JsonObject, levels: number): boolean {
  return (
    levels > 0 &&
    Object.values(object).some(
      (value) => value instanceof RawJson || (isJsonObject(value) && holdsRaw(value, levels - 1)),
    )
  );
}
