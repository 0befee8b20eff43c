import { InferenceError, invalidRequest } from '@baton/inference';

/** One strong entity tag. Source: RFC 9110 8.8.3. */
const TAG = /^"([\x21\x23-\x7e]*)"$/;
const VERSION = /^(?:0|[1-9]\d{0,14})$/;

/** The entity tag of a version. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/**
 * The version that the header `If-Match` names; undefined when any will do.
 *
 * @throws InferenceError 400 `invalid_if_match` for what is no entity tag, 412 `policy_version_mismatch` for one that no
 *   version has.
 */
export function versionOfIfMatch(header: string | undefined): number | undefined {
  const text = header?.trim();
  if (text === undefined || text === '*') return undefined;
  const tag = TAG.exec(text.replace(/^W\//, ''))?.[1];
  if (tag === undefined) {
    throw invalidRequest(
      'The header if-match must be one entity tag, such as "3" with its quotes, or *.',
      'if-match',
      'invalid_if_match',
    );
  }
  // A weak tag matches nothing here, whatever it says.
  if (!VERSION.test(tag) || text.startsWith('W/')) {
    throw new InferenceError(`No policies have the entity tag ${text}. GET /admin/policies tells the present one.`, {
      status: 412,
      param: 'if-match',
      code: 'policy_version_mismatch',
    });
  }
  return Number(tag);
}
