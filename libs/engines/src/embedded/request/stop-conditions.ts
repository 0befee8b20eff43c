import { invalidRequest } from '@baton/inference';
import type { BodyFields } from './body-fields.js';
import { readTokenIds } from './token-ids.js';

/** What ends a choice besides its token limit. */
export interface StopConditions {
  /** The answer ends before the first of these. */
  readonly strings: readonly string[];
  readonly tokenIds: readonly number[];
  /** Whether the model's own end tokens do not end the answer. */
  readonly ignoreEnd: boolean;
}

const MOST_STOP_STRINGS = 16;
const MOST_STOP_TOKENS = 1_024;

/** Reads `stop`, `stop_token_ids` and `ignore_eos`. */
export function readStopConditions(fields: BodyFields, vocabularySize: number): StopConditions {
  return {
    strings: readStrings(fields),
    tokenIds: readStopTokens(fields, vocabularySize),
    ignoreEnd: fields.boolean('ignore_eos') ?? false,
  };
}

function readStopTokens(fields: BodyFields, vocabularySize: number): number[] {
  const path = fields.path('stop_token_ids');
  const value = fields.array('stop_token_ids') ?? [];
  if (value.length > MOST_STOP_TOKENS)
    throw invalidRequest(`${path} must have at most ${MOST_STOP_TOKENS} items.`, path);
  return readTokenIds(value, path, vocabularySize);
}

function readStrings(fields: BodyFields): string[] {
  const value = fields.value('stop');
  const path = fields.path('stop');
  if (value === undefined) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > MOST_STOP_STRINGS) {
    throw invalidRequest(`${path} must have at most ${MOST_STOP_STRINGS} strings.`, path);
  }
  return list.map((item) => {
    if (typeof item === 'string' && item !== '') return item;
    throw invalidRequest(`${path} must be a string or an array of strings, none of them empty.`, path);
  });
}
