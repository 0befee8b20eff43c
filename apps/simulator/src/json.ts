/** Any JSON object, read with care. */
export type JsonObject = Record<string, unknown>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The object, or undefined for everything else. */
export const objectOf = (value: unknown): JsonObject | undefined => (isObject(value) ? value : undefined);

/** The text, or undefined for everything else. */
export const stringOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** The number as a number, whether it came as one or as an exact integer; undefined for everything else. */
export const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : undefined;

export const isInteger = (value: unknown): value is number => Number.isInteger(value);

/** A list of token ids; undefined for everything else. */
export const idsOf = (value: unknown): number[] | undefined =>
  Array.isArray(value) && value.every((id) => isInteger(id) && id >= 0) ? value : undefined;

/** A whole number that a double may not hold: 16 digits and more. */
const LONG_INTEGER = /(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g;
const MARK = '\u0000int:';

/** `JSON.parse`, but integers beyond 2^53 become `bigint`: rooms and request ids of the field have 63 bits. */
export function parseJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const marked = outsideOfStrings(text, (part) =>
    part.replace(LONG_INTEGER, (found) => (Number.isSafeInteger(Number(found)) ? found : JSON.stringify(MARK + found))),
  );
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === 'string' && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  );
}

/** Edits what of a JSON text is not in a string. */
function outsideOfStrings(text: string, edit: (part: string) => string): string {
  const parts: string[] = [];
  for (let from = 0; ;) {
    const open = text.indexOf('"', from);
    if (open === -1) return parts.join('') + edit(text.slice(from));
    let close = text.indexOf('"', open + 1);
    while (close !== -1 && isEscaped(text, close)) close = text.indexOf('"', close + 1);
    const end = close === -1 ? text.length : close + 1;
    parts.push(edit(text.slice(from, open)), text.slice(open, end));
    from = end;
  }
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

/** `JSON.stringify` that writes a `bigint` as its digits. */
export function stringifyJson(value: unknown): string {
  const exact = { found: false };
  const text = JSON.stringify(value, (_, item: unknown) => {
    if (typeof item !== 'bigint') return item;
    exact.found = true;
    return `${MARK}${item}`;
  });
  return exact.found ? text.replace(/"\\u0000int:(-?\d+)"/g, '$1') : text;
}
