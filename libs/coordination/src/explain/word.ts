const LONGEST = 256;

/** `text`, cut to what a record has room for. */
export function word(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`;
}
