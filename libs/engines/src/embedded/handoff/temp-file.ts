import { rm } from 'node:fs/promises';

/** A file that holds one KV state. It has one owner at a time, who removes it. */
export class TempFile {
  readonly path: string;
  readonly #onRemoved: (() => void)[];
  #work: Promise<unknown> = Promise.resolve();
  #removed: Promise<void> | undefined;
  #isHandedOver = false;

  constructor(path: string, onRemoved: () => void) {
    this.path = path;
    this.#onRemoved = [onRemoved];
  }

  /** Runs `work` on the file; the file is not removed before it has ended, so that nothing makes it again. */
  use<T>(work: () => Promise<T>): Promise<T> {
    const result = work();
    this.#work = Promise.allSettled([this.#work, result]);
    return result;
  }

  /** Calls `listener` when the file is removed: for what is held as long as the file exists. */
  onRemoved(listener: () => void): void {
    this.#onRemoved.push(listener);
  }

  /** Gives the file a new owner: {@link release} of the old one does nothing any more. */
  handOver(): this {
    this.#isHandedOver = true;
    return this;
  }

  /** The present owner's teardown: removes the file, unless it was handed over. */
  release(): void {
    if (!this.#isHandedOver) void this.remove();
  }

  /** Removes the file, once. */
  remove(): Promise<void> {
    const tell = (): void => this.#onRemoved.forEach((listener) => listener());
    this.#removed ??= this.#work.then(() => rm(this.path, { force: true })).then(tell, tell);
    return this.#removed;
  }
}
