/** How events are framed; the default is what servers usually do. */
export interface Framing {
  readonly newline?: 'lf' | 'crlf' | 'cr';
  /** Whether a space follows `data:`. */
  readonly space?: boolean;
  /** The data over several lines, which JSON allows between its tokens. */
  readonly multiline?: boolean;
  /** An `event:` line before the data. */
  readonly eventLines?: boolean;
  /** Written in pieces of this size. */
  readonly chunkBytes?: number;
}

const NEWLINES = { lf: '\n', crlf: '\r\n', cr: '\r' } as const;

/** One event on the wire. */
export function frameEvent(data: string, framing: Framing, name?: string): string {
  const { space = true, multiline = false, eventLines = false } = framing;
  const newline = NEWLINES[framing.newline ?? 'lf'];
  const lines = multiline && data.startsWith('{') ? [data.slice(0, 1), data.slice(1)] : [data];
  const event = name ?? (eventLines ? 'message' : undefined);
  const head = event === undefined ? '' : `event:${space ? ' ' : ''}${event}${newline}`;
  return head + lines.map((line) => `data:${space ? ' ' : ''}${line}${newline}`).join('') + newline;
}
