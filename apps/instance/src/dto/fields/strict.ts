import { invalidRequest, isJsonObject } from '@baton/inference';
import { refuse } from './checks.js';
import { checkFields, fieldNames, type Check } from './field.js';

/** The code of a 400 for a field that a route does not have. Source: OpenAI API. */
const UNKNOWN = 'unknown_parameter';

/**
 * Refuses the fields of `value` that `dto` does not have. What goes to an engine may have any; what an operator says may not:
 * a change with a slip of the pen in it would be taken for another one.
 *
 * @param path where `value` stands in the body; empty for the body itself.
 * @throws InferenceError 400 that names the field.
 */
export function checkKnownFields(dto: abstract new () => object, value: object, path = ''): void {
  const known = fieldNames(dto);
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const field = path === '' ? unknown : `${path}.${unknown}`;
  throw invalidRequest(`${field} is not known here. Known: ${known.join(', ')}.`, field, UNKNOWN);
}

/** A JSON object with the fields of `dto`, and no others. */
export const isOnly =
  (dto: abstract new () => object): Check =>
  (value, path) => {
    if (!isJsonObject(value)) refuse(path, 'must be an object');
    checkKnownFields(dto, value, path);
    checkFields(dto, value, path);
  };

/** A list of up to `max` things. */
export const isListOf =
  (isItem: Check, max: number, min = 1): Check =>
  (value, path, owner) => {
    if (!Array.isArray(value) || value.length < min || value.length > max) {
      refuse(path, `must be a list of ${min} to ${max} items`);
    }
    value.forEach((item: unknown, index) => isItem(item, `${path}[${index}]`, owner));
  };
