import { InferenceError } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { etagOf, versionOfIfMatch } from './if-match.js';

function refusalOf(header: string): object {
  try {
    return { version: versionOfIfMatch(header) };
  } catch (error) {
    if (!(error instanceof InferenceError)) throw error;
    const { status, code, param } = error;
    return { status, code, param };
  }
}

describe('If-Match', () => {
  it('names the version that a client has seen', () => {
    expect(versionOfIfMatch(etagOf(12))).toBe(12);
    expect(versionOfIfMatch(' "0" ')).toBe(0);
  });

  it('need not be sent, and may be any', () => {
    expect(versionOfIfMatch(undefined)).toBeUndefined();
    expect(versionOfIfMatch('*')).toBeUndefined();
  });

  it.each(['W/"3"', '"abc"', '""', '"03"', '"-1"', '"3.0"', '"9999999999999999"'])(
    '%s matches no version',
    (header) => {
      expect(refusalOf(header)).toEqual({ status: 412, code: 'policy_version_mismatch', param: 'if-match' });
    },
  );

  it.each(['3', '', '"3', '"3", "4"', 'w/"3"', '"a b"'])('%j is no entity tag', (header) => {
    expect(refusalOf(header)).toEqual({ status: 400, code: 'invalid_if_match', param: 'if-match' });
  });
});
