import type { ResponsePart } from '@baton/inference';

/** Servers put the id first. */
const WINDOW_BYTES = 1_024;
/** Matches no text within a string: there, quotes are escaped. An id with an escape in it is none that a server makes. */
const ID = /"(?:id|request_id)"[ \t\r\n]*:[ \t\r\n]*"([^"\\]{1,256})"/;

/**
 * The id that an answer gives itself in its first part: some servers make their own, which is then the only one that the
 * client sees. Undefined when there is none at its beginning.
 */
export function answerId(first: ResponsePart): string | undefined {
  if (first.kind === 'json') return [first.body['id'], first.body['request_id']].find(isId);
  const { buffer, byteOffset, byteLength } = first.bytes;
  const head = Buffer.from(buffer, byteOffset, Math.min(byteLength, WINDOW_BYTES)).toString('utf8');
  return ID.exec(head)?.[1];
}

const isId = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= 256;
