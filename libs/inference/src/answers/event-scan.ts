const [COLON, N] = [0x3a, 0x6e];
const [SPACE, TAB, LF, CR] = [0x20, 0x09, 0x0a, 0x0d];

/** What is looked for. */
interface Needle {
  readonly bytes: Uint8Array;
  /** A JSON key that says nothing while its value is null. */
  readonly isKey: boolean;
}

/**
 * Tells from the bytes of a stream whether anything in them must be read: whether they hold one of some JSON keys with
 * a value other than null, or one of some other texts. One pass, nothing is decoded.
 *
 * It cannot overlook a key that is written plainly, since a quote within a JSON string is escaped. It is wrong only on
 * the safe side: a text that is one of the keys is taken for the key.
 */
export class EventScan {
  readonly #needles: readonly Needle[];
  /** Length of the shortest needle. */
  readonly #window: number;
  /** By the last byte of a window: how far it is to the next one in which a needle can begin (Horspool, for a set). */
  readonly #shifts: Uint8Array;

  constructor(keys: readonly string[], texts: readonly string[] = []) {
    this.#needles = [
      ...keys.map((key) => ({ bytes: Buffer.from(`"${key}"`), isKey: true })),
      ...texts.map((text) => ({ bytes: Buffer.from(text), isKey: false })),
    ];
    const window = Math.min(...this.#needles.map(({ bytes }) => bytes.length));
    this.#window = window;
    this.#shifts = new Uint8Array(256).fill(window);
    for (const { bytes } of this.#needles) {
      bytes.subarray(0, window).forEach((byte, index) => {
        this.#shifts[byte] = Math.min(this.#shifts[byte] ?? 0, window - 1 - index);
      });
    }
  }

  /** Whether `bytes` hold anything that must be read. */
  finds(bytes: Uint8Array): boolean {
    const shifts = this.#shifts;
    const last = this.#window - 1;
    for (let end = last; end < bytes.length;) {
      const shift = shifts[bytes[end] ?? 0] ?? 0;
      if (shift > 0) {
        end += shift;
      } else {
        if (this.#findsAt(bytes, end - last)) return true;
        end += 1;
      }
    }
    return false;
  }

  #findsAt(bytes: Uint8Array, at: number): boolean {
    for (const needle of this.#needles) {
      if (isAt(needle.bytes, bytes, at)) return !needle.isKey || !isNull(bytes, at + needle.bytes.length);
    }
    return false;
  }
}

function isAt(needle: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let index = 0; index < needle.length; index += 1) if (bytes[at + index] !== needle[index]) return false;
  return true;
}

/** Whether a colon and null follow. `n` begins nothing else. */
function isNull(bytes: Uint8Array, at: number): boolean {
  const colon = skipSpace(bytes, at);
  return bytes[colon] === COLON && bytes[skipSpace(bytes, colon + 1)] === N;
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at] === SPACE || bytes[at] === TAB || bytes[at] === LF || bytes[at] === CR) at += 1;
  return at;
}
