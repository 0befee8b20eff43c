/** A value that JSON can carry. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

/** A JSON object whose fields have not been looked at yet. */
export interface JsonObject {
  readonly [key: string]: unknown;
}

/** Whether `value` is a JSON object (neither null nor an array). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Parses JSON that came from another process. Keys named `__proto__` are dropped while parsing, so that no copy of
 * the result (`Object.assign`) can change a prototype.
 *
 * @throws SyntaxError when `text` is not JSON.
 */
export function parseJson(text: string): unknown {
  // A reviver makes parsing several times slower; only text that can hold such a key, written out or escaped, needs it.
  if (!MAY_HOLD_PROTO.test(text)) return JSON.parse(text) as unknown;
  return JSON.parse(text, (key, value: unknown) => (key === '__proto__' ? undefined : value));
}

const MAY_HOLD_PROTO = /__proto__|\\u00/;
