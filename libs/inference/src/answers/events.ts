import { isJsonObject, type JsonObject } from '../json.js';
import { answerJson } from './answer-json.js';

export { asBuffer } from './as-buffer.js';

const LF = 0x0a;
const CR = 0x0d;

/** The data of the event that ends a stream. Source: OpenAI API, streaming. */
export const END_OF_STREAM = '[DONE]';

/**
 * The server-sent events in `bytes`, each with the blank line that ends it: together they are `bytes`. Lines end with
 * LF, CR or CRLF. What is behind the last blank line comes last; whole events leave nothing there.
 */
export function eventsIn(bytes: Buffer): Buffer[] {
  const events: Buffer[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = endOfEvent(bytes, start);
    events.push(bytes.subarray(start, end));
    start = end;
  }
  return events;
}

/** Behind the first empty line. */
function endOfEvent(bytes: Buffer, start: number): number {
  let line = start;
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte !== LF && byte !== CR) continue;
    const isEmpty = at === line;
    if (byte === CR && bytes[at + 1] === LF) at += 1;
    line = at + 1;
    if (isEmpty) return line;
  }
  return bytes.length;
}

/**
 * The data of an event, its lines joined; undefined when it has none: a comment, or the name of an event alone.
 * Source: HTML standard, server-sent events.
 */
export function eventData(event: Buffer): string | undefined {
  const data = event
    .toString('utf8')
    .split(/\r\n|\r|\n/)
    .map(dataOfLine)
    .filter((line) => line !== undefined);
  return data.length === 0 ? undefined : data.join('\n');
}

function dataOfLine(line: string): string | undefined {
  if (line.startsWith('data: ')) return line.slice('data: '.length);
  if (line.startsWith('data:')) return line.slice('data:'.length);
  return line === 'data' ? '' : undefined;
}

/** An event's data as a JSON object; undefined when it is anything else, or nested too deeply. */
export function parseData(data: string): JsonObject | undefined {
  const value = answerJson(data);
  return isJsonObject(value) ? value : undefined;
}
