import { isJsonObject, type JsonObject } from '../../json.js';
import type { AnswerLead } from '../prefill-share.js';

/** Those of `fields` that `holder` has. */
export function pick(holder: JsonObject, fields: readonly string[]): JsonObject {
  return Object.fromEntries(fields.filter((field) => field in holder).map((field) => [field, holder[field]]));
}

/** Two texts, either of which may not be there. */
export function joinText(first: unknown, second: unknown): string {
  return `${typeof first === 'string' ? first : ''}${typeof second === 'string' ? second : ''}`;
}

/** The log probabilities of two pieces of one choice: every list of the second goes behind the first's. */
export function joinLogprobs(first: JsonObject | undefined, second: unknown): unknown {
  if (first === undefined) return second;
  if (!isJsonObject(second)) return first;
  const joined = Object.entries(first).map(([name, value]) => {
    const other = second[name];
    return [
      name,
      Array.isArray(value) && Array.isArray(other) ? [...asList(value), ...asList(other)] : (other ?? value),
    ];
  });
  return { ...second, ...(Object.fromEntries(joined) as JsonObject) };
}

/** The token ids of a choice behind the lead's, for choices that have them. */
export function joinTokenIds(lead: AnswerLead, choice: JsonObject): JsonObject {
  const ids = choice['token_ids'];
  return Array.isArray(ids) && lead.tokenIds !== undefined ? { token_ids: [...lead.tokenIds, ...asList(ids)] } : {};
}

const asList = (value: unknown[]): readonly unknown[] => value;
