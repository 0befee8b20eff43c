import { createHash } from 'node:crypto';

/** Raised when this engine changes what a KV state holds or how it was computed (for example the chunk size). */
const STATE_FORMAT = 1;

/** All that two engines must agree on before one may load a KV state of the other. */
export interface FingerprintFacts {
  /** SHA-256 of the model file. */
  readonly modelDigest: string;
  /** Version of node-llama-cpp, which fixes the version of llama.cpp and of its state format. */
  readonly library: string;
  /** The state names one stream per sequence; another number does not load. */
  readonly sequences: number;
  readonly kvTypes: string;
  readonly flashAttention: string;
}

/** One hex word for the facts. Context size and batch size may differ, so they are not among them. */
export function fingerprint(facts: FingerprintFacts): string {
  const { modelDigest, library, sequences, kvTypes, flashAttention } = facts;
  const line = JSON.stringify([STATE_FORMAT, modelDigest, library, sequences, kvTypes, flashAttention]);
  return createHash('sha256').update(line).digest('hex');
}
