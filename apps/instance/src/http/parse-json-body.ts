import {
  InferenceError,
  invalidRequest,
  JsonBoundsError,
  parseBody,
  parseJson,
  type JsonBounds,
  type JsonFacts,
  type JsonFault,
} from '@baton/inference';
import { isUtf8 } from 'node:buffer';
import { findUnsafeValue, mayHoldUnsafeValue, type UnsafeValue } from './unsafe-values.js';

const BYTE_ORDER_MARK = Buffer.from('\uFEFF');

/** Several times what the longest conversation needs. */
const MAX_CONTAINERS = 100_000;
/** V8 looks each short string up among all that it knows. */
const MAX_STRINGS = 100_000;
/** Seeds, rooms and request ids are single numbers; each of them is parsed on its own. */
const MAX_LONG_INTEGERS = 10_000;

/** How bodies are parsed. */
export interface JsonBodyOptions {
  /** Deepest nesting, in levels. */
  readonly depthLimit: number;
  /** Keys of all objects together. Default 50,000. */
  readonly keyLimit?: number;
  /** Values of all lists and objects together, large arrays of token ids that stay as they came aside. Default 1,000,000. */
  readonly itemLimit?: number;
  /** Whether large arrays of token ids stay as they came, as `RawJson`. */
  readonly keepsLargeArrays: boolean;
}

/** The defaults of {@link JsonBodyOptions}. */
export const DEFAULT_KEY_LIMIT = 50_000;
export const DEFAULT_ITEM_LIMIT = 1_000_000;

/**
 * Parses the body of a request. Integers that a `number` cannot hold exactly become `bigint`s. What there is too much of is
 * counted first, so that no body keeps the event loop busy for long, whatever is in it.
 *
 * @throws InferenceError 400 that says what is wrong with it.
 */
export async function parseJsonBody(bytes: Buffer, options: JsonBodyOptions): Promise<unknown> {
  if (bytes.length === 0)
    throw invalidRequest('The request body is empty; it must be a JSON object.', null, 'empty_body');
  if (!isUtf8(bytes)) throw invalidRequest('The request body is not valid UTF-8.', null, 'invalid_json');
  const hasMark = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
  const json = hasMark ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
  const isSuspicious = mayHoldUnsafeValue(json);
  try {
    return await parseBody(json, {
      bounds: boundsOf(options),
      parse: (text, facts) => (isSuspicious || facts.hasHugeNumber ? parseSuspicious(text, facts) : parse(text, facts)),
      ...(options.keepsLargeArrays ? {} : { rawArraysFromBytes: Infinity }),
    });
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    if (error instanceof JsonBoundsError) throw tooMuch(error);
    const detail = error instanceof SyntaxError ? `: ${withoutExcerpt(error.message)}` : '';
    throw invalidRequest(`The request body is not valid JSON${detail}.`, null, 'invalid_json');
  }
}

function boundsOf({ depthLimit, keyLimit, itemLimit }: JsonBodyOptions): JsonBounds {
  return {
    depth: depthLimit,
    keys: keyLimit ?? DEFAULT_KEY_LIMIT,
    items: itemLimit ?? DEFAULT_ITEM_LIMIT,
    containers: MAX_CONTAINERS,
    strings: MAX_STRINGS,
    longIntegers: MAX_LONG_INTEGERS,
  };
}

const TOO_MUCH: Readonly<Record<JsonFault, readonly [what: string, code: string]>> = {
  depth: ['is nested deeper than # levels', 'json_too_deep'],
  containers: ['has more than # objects and lists', 'json_too_many_containers'],
  keys: ['has more than # keys', 'json_too_many_keys'],
  items: ['has more than # values', 'json_too_many_values'],
  strings: ['has more than # strings', 'json_too_many_strings'],
  longIntegers: ['has more than # integers of 16 digits or more', 'json_too_many_long_integers'],
};

function tooMuch({ fault, limit }: JsonBoundsError): InferenceError {
  const [what, code] = TOO_MUCH[fault];
  return invalidRequest(`The request body ${what.replace('#', String(limit))}.`, null, code);
}

/** Text without any sign of what {@link findUnsafeValue} looks for. */
function parse(text: string, { hasLongInteger }: JsonFacts): unknown {
  return hasLongInteger ? parseJson(text) : (JSON.parse(text) as unknown);
}

const REFUSALS: Readonly<Record<UnsafeValue, readonly [what: string, code: string]>> = {
  ['__proto__']: ['must not have the key __proto__', 'forbidden_key'],
  'constructor.prototype': ['must not have the key constructor.prototype', 'forbidden_key'],
  'lone surrogate': ['has half of a surrogate pair, which is no character', 'invalid_unicode'],
  'infinite number': ['has a number that is out of range', 'number_out_of_range'],
};

/** Parses text that may hold a forbidden key, which {@link parseJson} would drop. Its author has to hear of it. */
function parseSuspicious(text: string, { hasLongInteger }: JsonFacts): unknown {
  const value: unknown = JSON.parse(text);
  const found = findUnsafeValue(value);
  if (found !== undefined) {
    const [what, code] = REFUSALS[found];
    throw invalidRequest(`The request body ${what}.`, null, code);
  }
  return hasLongInteger ? parseJson(text) : value;
}

/** V8 may repeat a piece of the text (`Unexpected token 't', ..."prompt": t"... is not valid JSON`); it stays here. */
function withoutExcerpt(message: string): string {
  return message.replace(/,\s*(?:\.\.\.)?".*is not valid JSON$/s, '').replace(' in JSON', '');
}
