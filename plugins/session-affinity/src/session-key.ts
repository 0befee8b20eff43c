import type { InferenceRequest } from '@baton/inference';
import { createHash } from 'node:crypto';
import { promptPrefix } from './prompt-prefix.js';
import type { SessionAffinityOptions } from './session-affinity.options.js';

/** Two numbers of 32 bits that stand for a session or an endpoint. */
export type Digest = readonly [number, number];

/**
 * What stands for the session of a request: the header that names it, else the beginning of its prompt; undefined when it has
 * neither. Only a digest leaves here: neither sessions nor prompts are for logs.
 */
export function sessionKey(request: InferenceRequest, options: SessionAffinityOptions): Digest | undefined {
  const { body, caller, clientHeaders } = request;
  const named = clientHeaders[options.header.toLowerCase()];
  const session = typeof named === 'string' ? named : named?.join(',');
  // Two callers may both count their sessions from 1.
  if (session !== undefined && session !== '') return digestOf('session', caller.label, session);
  const prefix = promptPrefix(request, options.prefixBytes);
  // Another model, or another adapter of one, has a cache of its own.
  const model = typeof body['model'] === 'string' ? body['model'] : '';
  return prefix === undefined ? undefined : digestOf('prompt', model, prefix);
}

/** The same on every instance and after every start, so that coordinators agree without talking to each other. */
export function digestOf(...parts: readonly (string | Buffer)[]): Digest {
  const hash = createHash('sha256');
  // With lengths: where one part ends and the next begins counts.
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  const digest = hash.digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}
