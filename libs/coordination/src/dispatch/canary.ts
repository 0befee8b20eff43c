import type { InferenceRequest } from '@baton/inference';
import { createHash } from 'node:crypto';
import type { PolicyEntry } from './policy-table.js';

const HASH_BYTES = 6;
const HASHES = 2 ** (HASH_BYTES * 8);

type Share = Pick<PolicyEntry, 'name' | 'canaryPercent' | 'canaryHeader'>;

/**
 * Whether `request` belongs to the share of the requests that a manager is asked for. The same value gets the same answer in
 * every process and after each restart; a share that grows keeps those that it had. Different managers have different
 * requests in their shares.
 */
export function isInShare({ name, canaryPercent, canaryHeader }: Share, request: InferenceRequest): boolean {
  if (canaryPercent >= 100) return true;
  if (canaryPercent <= 0) return false;
  return percentOf(`${headerValue(request, canaryHeader) ?? request.id}\0${name}`) < canaryPercent;
}

/** What the client sent in that header, when it sent something. */
function headerValue({ clientHeaders }: InferenceRequest, name: string | undefined): string | undefined {
  const sent = name === undefined ? undefined : clientHeaders[name.toLowerCase()];
  const value = typeof sent === 'object' ? sent.join(',') : sent;
  return value === '' ? undefined : value;
}

/** A number from 0 to below 100, evenly spread. */
function percentOf(text: string): number {
  return (createHash('sha256').update(text).digest().readUIntBE(0, HASH_BYTES) / HASHES) * 100;
}
