import type { JsonObject } from './json.js';

/** A whole answer that is not streamed, already parsed. It is the only part of its answer. */
export interface JsonPart {
  readonly kind: 'json';
  readonly body: JsonObject;
}

/** Bytes of an answer exactly as they go to the client: server-sent events, or JSON text. */
export interface BytesPart {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array;
}

/**
 * A piece of an answer. An answer is one {@link JsonPart}, or one or more {@link BytesPart}s; it is whole when
 * the Observable completes and has failed when the Observable fails (with an `InferenceError` for the client).
 */
export type ResponsePart = JsonPart | BytesPart;

export const jsonPart = (body: JsonObject): JsonPart => ({ kind: 'json', body });
export const bytesPart = (bytes: Uint8Array): BytesPart => ({ kind: 'bytes', bytes });
