import { stringifyJson, wholeAnswer, type JsonObject } from '@baton/inference';
import type { Observable } from 'rxjs';
import type { Endpoint } from '../endpoint.js';
import type { RemoteClient } from './remote-client.js';

const HEAD_TIMEOUT_MS = 10_000;
/** What a process says of itself is short; what it makes of a body may be as long as any answer. */
const MOST_GET_BYTES = 1024 * 1024;

/** A small question to another process. */
export interface JsonCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: JsonObject;
  /** From the question sent to its whole answer. Default 10,000 ms. */
  readonly headTimeoutMs?: number;
}

/** Asks `endpoint` something that it answers with a JSON object. Cold; emits once; bounded in time and in size. */
export function callJson(client: RemoteClient, endpoint: Endpoint, call: JsonCall): Observable<JsonObject> {
  const { method, path, body, headTimeoutMs = HEAD_TIMEOUT_MS } = call;
  const accept = { accept: 'application/json' };
  return client
    .call(endpoint, {
      method,
      path,
      headTimeoutMs,
      totalTimeoutMs: headTimeoutMs,
      ...(method === 'GET' ? { maxAnswerBytes: MOST_GET_BYTES } : {}),
      headers: body === undefined ? accept : { ...accept, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: stringifyJson(body) }),
    })
    .pipe(wholeAnswer());
}
