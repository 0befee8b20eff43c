import { randomUUID } from 'node:crypto';

const CLIENT_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** A fresh id. No id is a prefix of another (SGLang aborts by prefix), since all have one length. */
export function newId(): string {
  return randomUUID();
}

/** The id that the client sent, when it is safe to repeat in headers and logs; else a fresh one. */
export function clientRequestId(header: unknown): string {
  return typeof header === 'string' && CLIENT_ID.test(header) ? header : newId();
}
