import type { InferenceError } from './inference-error.js';
import { stringifyJson } from './json.js';

const encoder = new TextEncoder();

/** The end mark of a stream. Source: OpenAI API, streaming. */
export const SSE_DONE: Uint8Array = encoder.encode('data: [DONE]\n\n');

/** One server-sent event with `data` as JSON, every integer of it exact. */
export function sseEvent(data: unknown): Buffer {
  return Buffer.from(`data: ${stringifyJson(data)}\n\n`);
}

/** The end of a stream that failed: an error event, then the end mark, as vLLM and OpenAI clients expect. */
export function sseFailure(error: InferenceError): Uint8Array {
  return encoder.encode(`data: ${JSON.stringify(error.toBody())}\n\ndata: [DONE]\n\n`);
}

/**
 * The length of the complete events at the start of `bytes`, that is, up to and with the last blank line
 * (`\n\n`, `\r\n\r\n` or `\r\r`). 0 when no event is complete.
 */
export function completeEventsLength(bytes: Buffer): number {
  if (bytes.length > 1 && bytes[bytes.length - 1] === LF && bytes[bytes.length - 2] === LF) return bytes.length;
  const ends = BLANK_LINES.map((mark) => {
    const at = bytes.lastIndexOf(mark);
    return at < 0 ? 0 : at + mark.length;
  });
  return Math.max(...ends);
}

const LF = 0x0a;
const BLANK_LINES = ['\n\n', '\r\n\r\n', '\r\r'];
