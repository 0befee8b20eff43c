import { isJsonObject, parseJson, type JsonObject } from '@baton/inference';

const WARNING = 40;

/**
 * What the terminal shows of a log line of an instance: warnings and errors as a sentence, all else only when
 * `verbose`, and then as it came. Undefined hides the line.
 */
export function shownLine(line: string, stream: 'stdout' | 'stderr', verbose: boolean): string | undefined {
  if (verbose) return line;
  const record = readRecord(line);
  if (record === undefined) return stream === 'stderr' && line.trim() !== '' ? line : undefined;
  return isWarning(record['level']) ? sentence(record) : undefined;
}

function readRecord(line: string): JsonObject | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const record = parseJson(line);
    return isJsonObject(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

function isWarning(level: unknown): boolean {
  return typeof level === 'number' ? level >= WARNING : level === 'warn' || level === 'error' || level === 'fatal';
}

function sentence(record: JsonObject): string {
  const error = record['err'];
  const message = record['msg'];
  const cause = isJsonObject(error) ? error['message'] : undefined;
  return (
    [message, cause].filter((part) => typeof part === 'string' && part !== '').join(': ') || JSON.stringify(record)
  );
}
