import { createHash, timingSafeEqual } from 'node:crypto';
import type { Caller } from '../caller.js';

/** Somebody who has a key, of which only the digest is kept. */
export interface KeyHolder {
  readonly caller: Caller;
  /** SHA-256 of the key, as 64 hex digits. */
  readonly sha256: string;
}

/** The keys that are known, and whose they are. */
export class KeyRing {
  readonly #holders: readonly { readonly caller: Caller; readonly digest: Buffer }[];

  constructor(holders: readonly KeyHolder[]) {
    this.#holders = holders.map(({ caller, sha256 }) => ({ caller, digest: Buffer.from(sha256, 'hex') }));
  }

  get size(): number {
    return this.#holders.length;
  }

  /**
   * Whose key that is; undefined for nobody's. It takes as long for every key of one length: digests are compared, each in
   * constant time, and with all of them.
   */
  callerOf(key: string): Caller | undefined {
    const digest = createHash('sha256').update(key).digest();
    let found: Caller | undefined;
    for (const holder of this.#holders) {
      if (timingSafeEqual(holder.digest, digest)) found = holder.caller;
    }
    return found;
  }
}

/** The SHA-256 of a key, as 64 hex digits. */
export function digestOfKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
