const LEAST_BYTES = 4_096;

/**
 * Bytes that come in pieces of any size, in one buffer that doubles when it is full: what a sender cuts into millions of
 * pieces costs no more memory, and no more time a byte, than what comes at once.
 */
export class GrowingBytes {
  /** The first piece, as long as it is the only one: it is not copied. */
  #only: Buffer | undefined;
  #buffer: Buffer | undefined;
  #length = 0;

  /** How many bytes came. */
  get length(): number {
    return this.#length;
  }

  append(piece: Buffer): void {
    if (this.#length === 0 && this.#buffer === undefined) {
      this.#only = piece;
      this.#length = piece.length;
      return;
    }
    const length = this.#length + piece.length;
    const buffer = this.#buffer;
    const room = buffer !== undefined && buffer.length >= length ? buffer : this.#grown(length);
    piece.copy(room, this.#length);
    this.#length = length;
  }

  /** Makes room for `capacity` bytes in all, once that many are expected. */
  reserve(capacity: number): void {
    if ((this.#buffer?.length ?? 0) < capacity) this.#move(capacity);
  }

  /** What came, in memory that is shared with this object: it must not be appended to any more. */
  take(): Buffer {
    return this.#only ?? this.#buffer?.subarray(0, this.#length) ?? Buffer.alloc(0);
  }

  #grown(length: number): Buffer {
    return this.#move(Math.max(LEAST_BYTES, 2 * (this.#buffer?.length ?? 0), length));
  }

  #move(capacity: number): Buffer {
    // Not zeroed: it is handed out only as far as it was written.
    const buffer = Buffer.allocUnsafeSlow(Math.max(capacity, this.#length));
    this.take().copy(buffer);
    this.#only = undefined;
    this.#buffer = buffer;
    return buffer;
  }
}
