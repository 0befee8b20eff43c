import { InferenceError } from '@baton/inference';
import type { IncomingHttpHeaders } from 'node:http';

/**
 * `application/json` with well-formed parameters, spaces around them allowed. Anything else that a router might still take
 * for JSON (a tab, words behind the type) is refused: two readers of one header must not differ about it.
 * Source: RFC 9110, 8.3.1; Fastify's advisories on `content-type` with tabs and with trailing words.
 */
const JSON_TYPE = /^application\/json *(?:; *(?:[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[^"\\\t]*") *)?)*$/i;
const CHARSET = /; *charset=("?)([^";]*)\1/gi;

/**
 * Whether a body can be JSON in UTF-8 as it comes: not compressed, and in no other character set.
 *
 * @throws InferenceError 415 when its headers say that it is not.
 */
export function assertPlainJson(headers: IncomingHttpHeaders): void {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (encoding !== '' && encoding !== 'identity') {
    throw unsupported('A request body must not be compressed.', 'unsupported_content_encoding');
  }
  const type = headers['content-type'] ?? '';
  if (!JSON_TYPE.test(type)) {
    throw unsupported(
      'The request body must be JSON, sent with the header content-type: application/json.',
      'unsupported_media_type',
    );
  }
  for (const [, , charset = ''] of type.matchAll(CHARSET)) {
    if (!/^utf-?8$/i.test(charset.trim())) throw unsupported('A request body must be in UTF-8.', 'unsupported_charset');
  }
}

function unsupported(message: string, code: string): InferenceError {
  return new InferenceError(message, { status: 415, code });
}
