import { randomUUID } from 'node:crypto';
import type { Exchange } from '../../http/exchange.js';
import { stringOf, type JsonObject } from '../../json.js';

/** The id of an answer: the client's, if it sent one, after the API's own prefix. */
export function answerId(prefix: string, exchange: Exchange, body: JsonObject): string {
  const given = exchange.header('x-request-id') ?? stringOf(body['request_id']);
  return `${prefix}-${given ?? randomUUID().replaceAll('-', '')}`;
}

export const nowSeconds = (): number => Math.floor(Date.now() / 1_000);
