import type { ResponsePart } from '@baton/inference';

/** Whether a plugin emitted what an answer is made of. */
export function isResponsePart(value: unknown): value is ResponsePart {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false;
  if (value.kind === 'bytes') return 'bytes' in value && value.bytes instanceof Uint8Array;
  return value.kind === 'json' && 'body' in value && typeof value.body === 'object' && value.body !== null;
}
