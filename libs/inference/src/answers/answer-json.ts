import { InferenceError } from '../inference-error.js';
import { jsonFault, type JsonBounds } from '../json-scan.js';
import { parseJson } from '../json.js';
import { upstreamError } from './answer-truth.js';
import { asBuffer } from './as-buffer.js';

/**
 * What an upstream's answer may hold. Deeper, writing it out again would overflow the stack; so many objects and lists are
 * the log probabilities of the longest prompt that fits in the largest answer.
 */
const BOUNDS: JsonBounds = { depth: 128, containers: 2_000_000 };
const BRACKETS = ['[', '{'];

/**
 * Parses what another process has answered: the one way in for its bytes. Keys that could reach a prototype are dropped.
 * Undefined when it is not JSON, or nested too deeply, or holds too much: an answer that cannot be used.
 */
export function answerJson(text: Uint8Array | string): unknown {
  const bytes = typeof text === 'string' ? undefined : asBuffer(text);
  const written = typeof text === 'string' ? text : asBuffer(text).toString('utf8');
  if (mayExceed(written) && jsonFault(bytes ?? Buffer.from(written), BOUNDS) !== undefined) return undefined;
  try {
    return parseJson(written);
  } catch {
    return undefined;
  }
}

/**
 * What `read` makes of an upstream's answer. Whatever goes wrong in it is the upstream's fault: values that are not what
 * the protocol says.
 *
 * @throws InferenceError the one of `read`, or a 502 for anything else.
 */
export function readUpstream<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    throw upstreamError('bad_upstream_answer', 'The upstream answer cannot be read.', String(error));
  }
}

/** Whether there are more brackets than an answer may have levels, strings included. A native search: most have a few. */
function mayExceed(text: string): boolean {
  const most = BOUNDS.depth ?? Infinity;
  let count = 0;
  for (const bracket of BRACKETS) {
    for (let at = text.indexOf(bracket); at >= 0 && count <= most; at = text.indexOf(bracket, at + 1)) count += 1;
  }
  return count > most;
}
