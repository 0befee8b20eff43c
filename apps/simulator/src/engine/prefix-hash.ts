import { FIRST_WORD, WORDS } from './vocabulary.js';

/** A digest of token ids in order: what stands for the content of a KV cache. */
export type Digest = string;

/** The digest of no tokens. */
export const EMPTY_DIGEST: Digest = '9747b28c5bd1e995';

/**
 * Digests a growing sequence of token ids. It is the whole "model": the next token is a function of the digest of
 * everything before it, so an answer goes on in the same way whether its beginning is in the cache or in the prompt,
 * and goes another way when the cache holds something else.
 */
export class PrefixHash {
  #high: number;
  #low: number;

  constructor(from: Digest = EMPTY_DIGEST) {
    this.#high = Number.parseInt(from.slice(0, 8), 16) | 0;
    this.#low = Number.parseInt(from.slice(8, 16), 16) | 0;
  }

  push(id: number): this {
    this.#high = Math.imul(rotate(this.#high ^ Math.imul(id + 1, 0xcc9e2d51 | 0), 13), 5) + (0xe6546b64 | 0);
    this.#low = Math.imul(rotate(this.#low + Math.imul(id ^ this.#high, 0x85ebca6b | 0), 17), 9) + 0x27d4eb2f;
    return this;
  }

  pushAll(ids: readonly number[], from = 0, to = ids.length): this {
    for (let at = from; at < to; at++) this.push(ids[at] ?? 0);
    return this;
  }

  get digest(): Digest {
    return hex(this.#high) + hex(this.#low);
  }

  /** A number in [0, 2^32) that the sequence so far determines; `salt` gives others of the same sequence. */
  number(salt = 0): number {
    let mixed = this.#high ^ Math.imul(this.#low, 0xc2b2ae35 | 0) ^ Math.imul(salt, 0x9e3779b1 | 0);
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b | 0);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35 | 0);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  }

  /** The word that comes next; with `rank` above 0 the ones that nearly came instead. */
  nextWord(rank = 0): number {
    return FIRST_WORD + ((this.number() + rank * 1_237) % WORDS);
  }
}

/** The digest of a whole prompt. */
export const digestOf = (ids: readonly number[]): Digest => new PrefixHash().pushAll(ids).digest;

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
