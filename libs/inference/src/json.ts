import { randomBytes } from 'node:crypto';

/** A value that JSON can carry. A `bigint` is an integer that a `number` cannot hold exactly. */
export type JsonValue = string | number | bigint | boolean | null | readonly JsonValue[] | JsonObject;

/** A JSON object whose fields have not been looked at yet. */
export interface JsonObject {
  readonly [key: string]: unknown;
}

/** Whether `value` is a JSON object (neither null nor an array). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Parses JSON that came from another process. Keys named `__proto__` are dropped, so that no copy of the result
 * (`Object.assign`) can change a prototype. Integers that a `number` cannot hold exactly (rooms and request ids of 63
 * bits) become `bigint`s; those of more than 128 digits, which are nobody's id, stay numbers.
 *
 * Takes time in proportion to the text and needs no stack, whatever the text is.
 *
 * @throws SyntaxError when `text` is not JSON.
 */
export function parseJson(text: string): unknown {
  const mark = MAY_HOLD_BIGINT.test(text) ? newMark() : undefined;
  const marked = mark === undefined ? text : markBigints(text, mark);
  if (marked === text && !MAY_HOLD_PROTO.test(text)) return JSON.parse(text) as unknown;
  return clean(parseMarked(marked, text), mark);
}

/** Writes what `JSON.stringify` writes, and `bigint`s as the integers that they are. */
export function stringifyJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    // It holds a bigint. Whatever else is wrong with it goes wrong again.
    const mark = newMark();
    const text = JSON.stringify(value, (_key, item: unknown) =>
      typeof item === 'bigint' ? `${mark}${item.toString()}` : item,
    );
    return text.replaceAll(new RegExp(`"${mark}(-?\\d+)"`, 'g'), '$1');
  }
}

const MAY_HOLD_PROTO = /__proto__|\\u00/;
/** Wrong only on the safe side: long digits within strings. The digits of a fraction come after others or a point. */
const MAY_HOLD_BIGINT = /(?<![\d.])[1-9]\d{15}/;
const BIGINT = /^-?[1-9]\d{15,127}$/;
const LONGEST_BIGINT = 129;

/** Begins the strings that stand for bigints. Random for each text: no text can hold a string that begins like it. */
function newMark(): string {
  return randomBytes(12).toString('hex');
}

const [QUOTE, BACKSLASH, COLON, MINUS, PLUS, POINT] = [0x22, 0x5c, 0x3a, 0x2d, 0x2b, 0x2e];
const [ZERO, NINE, LOWER_E, UPPER_E] = [0x30, 0x39, 0x65, 0x45];

/** `text` with each integer that would lose digits as a string. What was no JSON before is none after it. */
function markBigints(text: string, mark: string): string {
  const pieces: string[] = [];
  let copied = 0;
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
    } else if (isOfNumber(code)) {
      const end = endOfNumber(text, at);
      if (isBigint(text, at, end)) {
        pieces.push(text.slice(copied, at), `"${mark}${text.slice(at, end)}"`);
        copied = end;
      }
      at = end;
    } else {
      at += 1;
    }
  }
  return copied === 0 ? text : pieces.join('') + text.slice(copied);
}

function isBigint(text: string, start: number, end: number): boolean {
  if (end - start > LONGEST_BIGINT) return false;
  const digits = text.slice(start, end);
  return BIGINT.test(digits) && !Number.isSafeInteger(Number(digits)) && !isKey(text, end);
}

/** A number before a colon is no JSON, and a string in its place would make it JSON. */
function isKey(text: string, end: number): boolean {
  let at = end;
  while (at < text.length && text.charCodeAt(at) <= 0x20) at += 1;
  return text.charCodeAt(at) === COLON;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (let code = text.charCodeAt(at); at < text.length && code !== QUOTE; code = text.charCodeAt(at)) {
    at += code === BACKSLASH ? 2 : 1;
  }
  return at + 1;
}

function endOfNumber(text: string, start: number): number {
  let at = start;
  while (at < text.length && isOfNumber(text.charCodeAt(at))) at += 1;
  return at;
}

function isOfNumber(code: number): boolean {
  if (code >= ZERO && code <= NINE) return true;
  return code === MINUS || code === PLUS || code === POINT || code === LOWER_E || code === UPPER_E;
}

function parseMarked(marked: string, text: string): unknown {
  try {
    return JSON.parse(marked) as unknown;
  } catch {
    // The error must speak of the text that came.
    return JSON.parse(text) as unknown;
  }
}

/** Takes `__proto__` keys out and puts bigints in. Changes `parsed`; keeps its own stack, since nesting has no limit. */
function clean(parsed: unknown, mark: string | undefined): unknown {
  const root = [parsed];
  const open: object[] = [root];
  const cleaned = (value: unknown): unknown => {
    if (typeof value === 'object' && value !== null) open.push(value);
    return mark !== undefined && typeof value === 'string' && value.startsWith(mark)
      ? BigInt(value.slice(mark.length))
      : value;
  };
  for (let holder = open.pop(); holder !== undefined; holder = open.pop()) {
    if (isList(holder)) for (const [index, value] of holder.entries()) holder[index] = cleaned(value);
    else if (isRecord(holder)) cleanRecord(holder, cleaned);
  }
  return root[0];
}

function cleanRecord(record: Record<string, unknown>, cleaned: (value: unknown) => unknown): void {
  for (const key of Object.keys(record)) {
    if (key === '__proto__') delete record[key];
    else record[key] = cleaned(record[key]);
  }
}

const isList = (value: object): value is unknown[] => Array.isArray(value);
const isRecord = (value: object): value is Record<string, unknown> => !Array.isArray(value);
