import type { Socket } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './random.js';

/** What happens to the bytes of one direction. */
export interface PipeShape {
  readonly delayMs: number;
  readonly chop: readonly [least: number, most: number] | undefined;
  readonly bytesPerSecond: number;
  /** What is done when exactly so many bytes went through. */
  readonly marks: readonly { readonly at: number; readonly act: () => void }[];
}

/** What a pipe tells. */
export interface PipeEvents {
  moved(bytes: number): void;
  chopped(): void;
  delayed(): void;
}

const MOST_QUEUED_BYTES = 64 * 1024;
/** A slow pipe moves a piece this often. */
const TICK_MS = 20;
/** A side that finds bytes and a RST at once sees the end of a stream instead (libuv), so it may read the bytes first. */
const READ_FIRST_MS = 2;

/** One direction of a connection: what comes from a socket goes to another, in its shape, with back-pressure. */
export class FaultyPipe {
  readonly #queue: { bytes: Buffer; readonly dueAt: number }[] = [];
  readonly #reached = new Set<object>();
  #queuedBytes = 0;
  #movedBytes = 0;
  #isEnded = false;
  #isPumping = false;
  #isCut = false;
  #stalled: { readonly over: Promise<void>; end(): void } | undefined;

  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
    private readonly shape: PipeShape,
    private readonly events: PipeEvents,
    private readonly random: Random,
  ) {
    from.on('data', (bytes: Buffer) => {
      this.#queue.push({ bytes, dueAt: performance.now() + shape.delayMs });
      this.#queuedBytes += bytes.length;
      if (this.#queuedBytes > MOST_QUEUED_BYTES) from.pause();
      void this.#pump();
    });
    from.on('end', () => {
      this.#isEnded = true;
      void this.#pump();
    });
    void this.#pump();
  }

  /** Nothing goes through any more; false when that was so before. Once the buffers are full, nothing is taken either. */
  stall(): boolean {
    if (this.#stalled !== undefined) return false;
    let end = (): void => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    this.#stalled = { over, end };
    return true;
  }

  resume(): void {
    this.#stalled?.end();
    this.#stalled = undefined;
  }

  /** Ends the direction with a FIN; what comes after is dropped. */
  cut(): void {
    this.#isCut = true;
    this.#queue.length = 0;
    this.to.end();
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    await this.#actOnMarks();
    while (!this.to.destroyed && !this.#isCut) {
      await this.#stalled?.over;
      if (this.#queue.length === 0) break;
      await this.#movePiece();
      await this.#actOnMarks();
    }
    this.#isPumping = false;
    if (this.#isCut) this.#queue.length = 0;
    else if (this.#isEnded && !this.to.destroyed) this.to.end();
  }

  async #actOnMarks(): Promise<void> {
    const due = this.shape.marks.filter((mark) => mark.at === this.#movedBytes && !this.#reached.has(mark));
    if (due.length > 0) await sleep(READ_FIRST_MS);
    for (const mark of due) {
      this.#reached.add(mark);
      mark.act();
    }
  }

  async #movePiece(): Promise<void> {
    const [first] = this.#queue;
    if (first === undefined) return;
    const waitMs = first.dueAt - performance.now();
    if (waitMs > 0) {
      this.events.delayed();
      await sleep(waitMs, undefined, { ref: false });
      await this.#stalled?.over;
    }
    const length = Math.min(first.bytes.length, this.#pieceLength());
    const piece = first.bytes.subarray(0, length);
    if (length === first.bytes.length) this.#queue.shift();
    else first.bytes = first.bytes.subarray(length);
    this.#queuedBytes -= length;
    if (this.#queuedBytes <= MOST_QUEUED_BYTES) this.from.resume();
    this.#movedBytes += length;
    await this.#write(piece);
    this.events.moved(length);
    if (this.shape.chop !== undefined) {
      this.events.chopped();
      await setImmediate();
    }
    if (this.shape.bytesPerSecond < Infinity) {
      await sleep((length / this.shape.bytesPerSecond) * 1_000, undefined, { ref: false });
    }
  }

  /** At most up to the next mark. */
  #pieceLength(): number {
    const { chop, bytesPerSecond, marks } = this.shape;
    const toMark = Math.min(...marks.map(({ at }) => (at > this.#movedBytes ? at - this.#movedBytes : Infinity)));
    const chopped = chop === undefined ? Infinity : chop[0] + this.random.below(chop[1] - chop[0] + 1);
    const inTick = Math.max(1, Math.floor((bytesPerSecond * TICK_MS) / 1_000));
    return Math.min(toMark, chopped, inTick);
  }

  /** Waits while the other side takes no more; a side that closes ends the wait. */
  #write(piece: Buffer): Promise<void> {
    if (this.to.destroyed || !this.to.writable || this.to.write(piece)) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.to.off('drain', done).off('close', done);
        resolve();
      };
      this.to.on('drain', done).on('close', done);
    });
  }
}
