import { invalidRequest } from '@baton/inference';

/**
 * Reads a list of token ids.
 *
 * @param path the list's name in errors; an item is named by its index, `token_ids[3]`.
 * @throws InferenceError 400 for what is no token of the vocabulary.
 */
export function readTokenIds(value: unknown, path: string, vocabularySize: number): number[] {
  if (!Array.isArray(value)) throw invalidRequest(`${path} must be an array of token ids.`, path);
  return value.map((id: unknown, index) => {
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabularySize) return id;
    throw invalidRequest(
      `${path}[${index}] must be a token id, an integer from 0 to ${vocabularySize - 1}.`,
      `${path}[${index}]`,
    );
  });
}
