import { badRequest } from '../../engine/engine-error.js';
import { isInteger, numberOf, type JsonObject } from '../../json.js';

/** A whole number within bounds, or undefined when the field is not there. */
export function wholeNumber(body: JsonObject, name: string, least: number, most = Infinity): number | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  const number = numberOf(value);
  if (number === undefined || !isInteger(number)) throw badRequest(`${name} must be an integer.`, name);
  if (number < least || number > most)
    throw badRequest(
      `${name} must be at least ${least}${most === Infinity ? '' : ` and at most ${most}`}, got ${number}.`,
      name,
    );
  return number;
}

/** A text or a list of texts. */
export function texts(body: JsonObject, name: string): string[] {
  const value = body[name] ?? [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.map((item) => {
    if (typeof item !== 'string' || item === '')
      throw badRequest(`${name} must be a non-empty string or a list of them.`, name);
    return item;
  });
}

/** A list of token ids; empty when the field is not there. */
export function tokenIds(body: JsonObject, name: string): number[] {
  const value = body[name] ?? [];
  if (!Array.isArray(value) || !value.every((id): id is number => isInteger(id) && id >= 0))
    throw badRequest(`${name} must be a list of token ids.`, name);
  return value;
}
