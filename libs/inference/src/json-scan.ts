const [QUOTE, BACKSLASH, COLON, COMMA, MINUS, PLUS, POINT] = [0x22, 0x5c, 0x3a, 0x2c, 0x2d, 0x2b, 0x2e];
const [ZERO, NINE, LOWER_E, UPPER_E] = [0x30, 0x39, 0x65, 0x45];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];

/** What JSON text may hold at most. What is left out has no bound. */
export interface JsonBounds {
  /** Levels of nesting. */
  readonly depth?: number;
  /** Objects and lists together. */
  readonly containers?: number;
  /** Keys of all objects together. */
  readonly keys?: number;
  /** Values in all lists and objects together. */
  readonly items?: number;
  /** Strings, keys included. */
  readonly strings?: number;
  /** Integers of so many digits that a `number` may not hold them exactly. */
  readonly longIntegers?: number;
}

/** What JSON text has too much of. */
export type JsonFault = keyof JsonBounds;

/** From so many digits on an integer may not fit in a `number`. */
const LONG_DIGITS = 16;
/** An exponent of three digits, or so many digits, may be beyond the largest `number`. */
const HUGE_DIGITS = 300;
const HUGE_EXPONENT_DIGITS = 3;

const UNBOUNDED: Required<JsonBounds> = {
  depth: Infinity,
  containers: Infinity,
  keys: Infinity,
  items: Infinity,
  strings: Infinity,
  longIntegers: Infinity,
};

/**
 * Counts what JSON text holds, before anything is parsed: `JSON.parse` takes a million brackets without complaint, and what
 * walks the result then overflows the stack; a million keys, or fifteen million short strings, keep it busy for seconds.
 * Reads bytes and skips strings natively. Whether the text is JSON at all is for the parser to say.
 */
export class JsonScan {
  readonly #bounds: Required<JsonBounds>;
  readonly #json: Buffer;
  #depth = 0;
  #containers = 0;
  #keys = 0;
  #items = 0;
  #strings = 0;
  #longIntegers = 0;
  #hasHugeNumber = false;
  #isInString = false;

  constructor(json: Buffer, bounds: JsonBounds) {
    this.#json = json;
    this.#bounds = { ...UNBOUNDED, ...bounds };
  }

  /** Whether there is an integer that a `number` may not hold exactly. */
  get hasLongInteger(): boolean {
    return this.#longIntegers > 0;
  }

  /** Whether there is a number that may be beyond the largest one, which would become `Infinity`. */
  get hasHugeNumber(): boolean {
    return this.#hasHugeNumber;
  }

  /**
   * Reads on from `from`, about up to `to`: to the end of a number or an escape that it comes to then.
   *
   * @returns where it has come to, or what there is too much of.
   */
  read(from: number, to: number): number | JsonFault {
    const json = this.#json;
    const bounds = this.#bounds;
    let at = from;
    while (at < to) {
      if (this.#isInString) {
        const { end, isOver } = readJsonString(json, at, to);
        this.#isInString = !isOver;
        at = end;
        continue;
      }
      const byte = json[at] ?? 0;
      if (byte === QUOTE) {
        this.#isInString = true;
        this.#strings += 1;
        if (this.#strings > bounds.strings) return 'strings';
        at += 1;
        continue;
      }
      if (byte === MINUS || (byte >= ZERO && byte <= NINE)) {
        at = this.#number(at);
        if (this.#longIntegers > bounds.longIntegers) return 'longIntegers';
        continue;
      }
      at += 1;
      if (byte === COMMA) {
        this.#items += 1;
        if (this.#items >= bounds.items) return 'items';
      } else if (byte === COLON) {
        this.#keys += 1;
        if (this.#keys > bounds.keys) return 'keys';
      } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
        this.#depth += 1;
        this.#containers += 1;
        if (this.#depth > bounds.depth) return 'depth';
        if (this.#containers > bounds.containers) return 'containers';
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        this.#depth -= 1;
      }
    }
    return at;
  }

  /** Index behind the number that begins at `start`. */
  #number(start: number): number {
    const json = this.#json;
    let at = start + 1;
    while (isDigit(json[at])) at += 1;
    const digits = at - start;
    if (digits > HUGE_DIGITS) this.#hasHugeNumber = true;
    const next = json[at];
    if (next !== POINT && next !== LOWER_E && next !== UPPER_E) {
      if (digits >= LONG_DIGITS) this.#longIntegers += 1;
      return at;
    }
    if (next === POINT) {
      at += 1;
      while (isDigit(json[at])) at += 1;
    }
    if (json[at] !== LOWER_E && json[at] !== UPPER_E) return at;
    at += 1;
    if (json[at] === PLUS || json[at] === MINUS) at += 1;
    const exponent = at;
    while (isDigit(json[at])) at += 1;
    if (at - exponent >= HUGE_EXPONENT_DIGITS || digits > HUGE_DIGITS / 2) this.#hasHugeNumber = true;
    return at;
  }
}

/** What `json` has too much of. Reads all of it in one turn of the event loop: for text of some megabytes. */
export function jsonFault(json: Buffer, bounds: JsonBounds): JsonFault | undefined {
  const end = new JsonScan(json, bounds).read(0, json.length);
  return typeof end === 'number' ? undefined : end;
}

/** So much of a string is read byte by byte before its end is searched for natively: most are short. */
const NEAR_BYTES = 128;

/**
 * Reads inside of a string, from behind its opening quote or any whole character of it, about up to `to`.
 *
 * @returns whether it ends, and the index behind its closing quote, or behind what was read of it.
 */
export function readJsonString(json: Buffer, from: number, to: number): { end: number; isOver: boolean } {
  let at = from;
  while (at < to && at < json.length) {
    for (const near = Math.min(at + NEAR_BYTES, json.length); at < near; at += 1) {
      const byte = json[at];
      if (byte === QUOTE) return { end: at + 1, isOver: true };
      if (byte === BACKSLASH) at += 1;
    }
    const quote = json.indexOf(QUOTE, at);
    if (quote < 0) return { end: json.length, isOver: false };
    let backslashes = 0;
    while (quote - backslashes > at && json[quote - 1 - backslashes] === BACKSLASH) backslashes += 1;
    at = quote + 1;
    if (backslashes % 2 === 0) return { end: at, isOver: true };
  }
  return { end: Math.min(at, json.length), isOver: false };
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}
