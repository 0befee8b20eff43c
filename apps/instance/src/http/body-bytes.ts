import { GrowingBytes } from '@baton/inference';

/** So much has to be there before memory for the rest is taken: what a client only announces costs nothing. */
const EARLY_BYTES = 256 * 1024;

/** Collects the bytes of a body. Where its length is known they are put into one buffer of that length. */
export class BodyBytes {
  readonly #announced: number;
  readonly #bytes = new GrowingBytes();
  #isReserved = false;

  /** @param announced the length that the client announced, within the limit of bodies; NaN when it did not. */
  constructor(announced: number) {
    this.#announced = announced;
  }

  /** How many bytes came, whatever was announced. */
  get length(): number {
    return this.#bytes.length;
  }

  add(chunk: Buffer): void {
    if (!this.#isReserved && this.length + chunk.length > EARLY_BYTES && Number.isSafeInteger(this.#announced)) {
      this.#isReserved = true;
      this.#bytes.reserve(this.#announced);
    }
    this.#bytes.append(chunk);
  }

  /** The body, when it is as long as announced. */
  take(): Buffer {
    return this.#bytes.take();
  }
}
