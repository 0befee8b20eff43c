import { InferenceError } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { assertPlainJson } from './content-headers.js';

function codeOf(type: string, encoding?: string): string | null {
  try {
    assertPlainJson({ 'content-type': type, ...(encoding === undefined ? {} : { 'content-encoding': encoding }) });
    return null;
  } catch (error) {
    if (!(error instanceof InferenceError) || error.status !== 415) throw error;
    return error.code;
  }
}

describe('assertPlainJson', () => {
  it.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'application/json; charset="utf-8"',
    'application/json; odata=none; charset=utf8',
    'application/json;',
  ])('takes %s', (type) => {
    expect(codeOf(type)).toBeNull();
    expect(codeOf(type, 'identity')).toBeNull();
  });

  it.each([
    ['application/json; charset=utf-16', 'unsupported_charset'],
    ['application/json; charset=utf-8; charset=latin1', 'unsupported_charset'],
    ['application/json; charset=""', 'unsupported_charset'],
    ['application/json\t', 'unsupported_media_type'],
    ['application/json\ta', 'unsupported_media_type'],
    ['application/json garbage', 'unsupported_media_type'],
    ['application/json; charset=utf-8 garbage', 'unsupported_media_type'],
    ['application/json; =', 'unsupported_media_type'],
    ['application/jsonx', 'unsupported_media_type'],
    ['application/json, text/plain', 'unsupported_media_type'],
    ['text/plain', 'unsupported_media_type'],
  ])('refuses %j as %s', (type, code) => {
    expect(codeOf(type)).toBe(code);
  });

  it.each(['gzip', 'deflate', 'br', 'zstd', 'identity, gzip', 'x'])('refuses the encoding %s', (encoding) => {
    expect(codeOf('application/json', encoding)).toBe('unsupported_content_encoding');
  });
});
