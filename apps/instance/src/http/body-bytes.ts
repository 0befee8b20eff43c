/** So much has to be there before memory for the rest is taken: what a client only announces costs nothing. */
const EARLY_BYTES = 256 * 1024;

/** Collects the bytes of a body. Where its length is known they are put into one buffer at once, not into many first. */
export class BodyBytes {
  readonly #announced: number;
  #chunks: Buffer[] = [];
  #whole: Buffer | undefined;
  #length = 0;

  /** @param announced the length that the client announced, within the limit of bodies; NaN when it did not. */
  constructor(announced: number) {
    this.#announced = announced;
  }

  /** How many bytes came, whatever was announced. */
  get length(): number {
    return this.#length;
  }

  add(chunk: Buffer): void {
    if (this.#whole === undefined && this.#length + chunk.length > EARLY_BYTES) this.#reserve();
    if (this.#whole === undefined) this.#chunks.push(chunk);
    else chunk.copy(this.#whole, this.#length);
    this.#length += chunk.length;
  }

  /** The body, when it is as long as announced. */
  take(): Buffer {
    return this.#whole ?? Buffer.concat(this.#chunks, this.#length);
  }

  #reserve(): void {
    if (!Number.isSafeInteger(this.#announced)) return;
    // Not zeroed: it is handed out only when each byte has been written.
    const whole = Buffer.allocUnsafeSlow(this.#announced);
    let at = 0;
    for (const chunk of this.#chunks) at += chunk.copy(whole, at);
    this.#whole = whole;
    this.#chunks = [];
  }
}
