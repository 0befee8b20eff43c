import { invalidRequest } from '@baton/inference';
import { isUtf8 } from 'node:buffer';
import { findForbiddenKey, mayHoldForbiddenKey } from './forbidden-keys.js';
import { isDeeperThan } from './json-depth.js';

const BYTE_ORDER_MARK = '\uFEFF';

/**
 * Parses the body of a request.
 *
 * @param depthLimit deepest nesting, in levels.
 * @throws InferenceError 400 that says what is wrong with it.
 */
export function parseJsonBody(bytes: Buffer, depthLimit: number): unknown {
  if (bytes.length === 0)
    throw invalidRequest('The request body is empty; it must be a JSON object.', null, 'empty_body');
  if (!isUtf8(bytes)) throw invalidRequest('The request body is not valid UTF-8.', null, 'invalid_json');
  if (isDeeperThan(bytes, depthLimit)) {
    throw invalidRequest(`The request body is nested deeper than ${depthLimit} levels.`, null, 'json_too_deep');
  }
  const value = parse(bytes);
  const key = mayHoldForbiddenKey(bytes) ? findForbiddenKey(value) : undefined;
  if (key !== undefined) throw invalidRequest(`The request body must not have the key ${key}.`, null, 'forbidden_key');
  return value;
}

function parse(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  try {
    return JSON.parse(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text) as unknown;
  } catch (error) {
    const detail = error instanceof SyntaxError ? `: ${withoutExcerpt(error.message)}` : '';
    throw invalidRequest(`The request body is not valid JSON${detail}.`, null, 'invalid_json');
  }
}

/** V8 may repeat a piece of the text (`Unexpected token 't', ..."prompt": t"... is not valid JSON`); it stays here. */
function withoutExcerpt(message: string): string {
  return message.replace(/,\s*(?:\.\.\.)?".*is not valid JSON$/s, '').replace(' in JSON', '');
}
