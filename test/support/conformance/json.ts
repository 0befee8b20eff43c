/** A JSON object; integers that no double holds are `Digits`. */
export type Json = Readonly<Record<string, unknown>>;

/** An integer that no double holds, as it stood in the text: `JSON.parse` would change its last digits. */
export type Digits = `int:${string}`;

const LARGE_INTEGER = /([:[,]\s*)(-?\d{16,})(?=\s*[,\]}])/g;

/** Parses JSON in which no text looks like a list of large integers. */
export function parseExactly(text: string): unknown {
  const exact = text.replace(LARGE_INTEGER, (found: string, before: string, digits: string) =>
    Number.isSafeInteger(Number(digits)) ? found : `${before}"int:${digits}"`,
  );
  return JSON.parse(exact);
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object at `key`; empty when there is none. */
export function objectAt(holder: Json, key: string): Json {
  const value = holder[key];
  return isJson(value) ? value : {};
}

export function listAt(holder: Json, key: string): readonly unknown[] {
  const value: unknown = holder[key];
  return Array.isArray(value) ? value : [];
}

/** `holder` without `keys`. */
export function without(holder: Json, ...keys: readonly string[]): Json {
  return Object.fromEntries(Object.entries(holder).filter(([key]) => !keys.includes(key)));
}

/** Where two JSON values differ, one line for each place. */
export function differences(actual: unknown, expected: unknown, at = ''): string[] {
  if (Array.isArray(actual) && Array.isArray(expected) && actual.length === expected.length)
    return expected.flatMap((item: unknown, index) => differences(actual[index], item, `${at}[${index}]`));
  if (!isJson(actual) || !isJson(expected))
    return Object.is(actual, expected) || text(actual) === text(expected)
      ? []
      : [`${at}: ${text(actual)}, expected ${text(expected)}`];
  const keys = [...new Set([...Object.keys(expected), ...Object.keys(actual)])];
  return keys.flatMap((key) => {
    const place = at === '' ? key : `${at}.${key}`;
    if (!Object.hasOwn(actual, key)) return [`${place} is missing, expected ${text(expected[key])}`];
    if (!Object.hasOwn(expected, key)) return [`${place} must not be there: ${text(actual[key])}`];
    return differences(actual[key], expected[key], place);
  });
}

const text = (value: unknown): string => {
  const json = value === undefined ? 'undefined' : JSON.stringify(value);
  return json.length > 300 ? `${json.slice(0, 300)}…` : json;
};
