import { randomUUID } from 'node:crypto';
import { stringOf, type JsonObject } from '../../json.js';

/** The id of one prompt of a request: the client's `rid`, one for each prompt of a batch, or a new one. */
export function ridOf(body: JsonObject, index = 0): string {
  const { rid } = body;
  const given: unknown = Array.isArray(rid) ? rid[index] : rid;
  return stringOf(given) ?? randomUUID().replaceAll('-', '');
}
