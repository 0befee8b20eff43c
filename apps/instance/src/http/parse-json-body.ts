import { InferenceError, invalidRequest, parseBody, parseJson } from '@baton/inference';
import { isUtf8 } from 'node:buffer';
import { findForbiddenKey, mayHoldForbiddenKey } from './forbidden-keys.js';
import { jsonFault } from './json-depth.js';

const BYTE_ORDER_MARK = Buffer.from('\uFEFF');

/** Ten times what the longest conversation needs; parsing as many takes a quarter of a second. */
const MAX_CONTAINERS = 500_000;

/** How bodies are parsed. */
export interface JsonBodyOptions {
  /** Deepest nesting, in levels. */
  readonly depthLimit: number;
  /** Whether large arrays of token ids stay as they came, as `RawJson`. */
  readonly keepsLargeArrays: boolean;
}

/**
 * Parses the body of a request. Integers that a `number` cannot hold exactly become `bigint`s.
 *
 * @throws InferenceError 400 that says what is wrong with it.
 */
export async function parseJsonBody(bytes: Buffer, options: JsonBodyOptions): Promise<unknown> {
  const { depthLimit } = options;
  if (bytes.length === 0)
    throw invalidRequest('The request body is empty; it must be a JSON object.', null, 'empty_body');
  if (!isUtf8(bytes)) throw invalidRequest('The request body is not valid UTF-8.', null, 'invalid_json');
  const fault = jsonFault(bytes, { depthLimit, containerLimit: MAX_CONTAINERS });
  if (fault === 'too_deep') {
    throw invalidRequest(`The request body is nested deeper than ${depthLimit} levels.`, null, 'json_too_deep');
  }
  if (fault === 'too_many') {
    throw invalidRequest(
      `The request body has more than ${MAX_CONTAINERS} objects and lists.`,
      null,
      'json_too_many_containers',
    );
  }
  const parse = mayHoldForbiddenKey(bytes) ? parseSuspicious : parseJson;
  const hasMark = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
  const json = hasMark ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
  try {
    return options.keepsLargeArrays ? await parseBody(json, { parse }) : parse(json.toString('utf8'));
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    const detail = error instanceof SyntaxError ? `: ${withoutExcerpt(error.message)}` : '';
    throw invalidRequest(`The request body is not valid JSON${detail}.`, null, 'invalid_json');
  }
}

/** Digits that may be an integer which only {@link parseJson} keeps exact. */
const LONG_NUMBER = /(?<!\d)\d{16}/;

/** Parses text that may hold a forbidden key, which {@link parseJson} would drop. Its author has to hear of it. */
function parseSuspicious(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const key = findForbiddenKey(value);
  if (key !== undefined) throw invalidRequest(`The request body must not have the key ${key}.`, null, 'forbidden_key');
  return LONG_NUMBER.test(text) ? parseJson(text) : value;
}

/** V8 may repeat a piece of the text (`Unexpected token 't', ..."prompt": t"... is not valid JSON`); it stays here. */
function withoutExcerpt(message: string): string {
  return message.replace(/,\s*(?:\.\.\.)?".*is not valid JSON$/s, '').replace(' in JSON', '');
}
