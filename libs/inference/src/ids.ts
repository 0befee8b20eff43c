import { randomUUID } from 'node:crypto';

/** As long as the ids of legs that hold the addresses of both sides (vLLM's P2pNcclConnector), with long host names. */
const CLIENT_ID = /^[A-Za-z0-9._:-]{1,256}$/;

/** A fresh id. No id is a prefix of another (SGLang aborts by prefix), since all have one length. */
export function newId(): string {
  return randomUUID();
}

/** A fresh id for a leg of the request with `key`. All have one length, so none is a prefix of another. */
export function legId(key: string): string {
  // Of a UUID: Node keeps random bytes for these in store, any others cost a system call.
  return `${key}-${randomUUID().slice(0, 8)}`;
}

/** The id that the client sent, when it is safe to repeat in headers and logs; else a fresh one. */
export function clientRequestId(header: unknown): string {
  return typeof header === 'string' && CLIENT_ID.test(header) ? header : newId();
}
