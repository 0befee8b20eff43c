/**
 * The answer to a question that costs something: asked once at a time, and not again while the last answer is recent.
 */
export class Recent<T> {
  readonly #ask: () => Promise<T>;
  readonly #freshMs: number;
  #asking: Promise<T> | undefined;
  #last: { readonly value: T; readonly at: number } | undefined;

  /** @param ask never rejects. @param freshMs from an answer to the next question. */
  constructor(ask: () => Promise<T>, freshMs: number) {
    this.#ask = ask;
    this.#freshMs = freshMs;
  }

  /** The last answer, however old; undefined before the first. */
  get last(): T | undefined {
    return this.#last?.value;
  }

  get(): Promise<T> {
    if (this.#last !== undefined && performance.now() - this.#last.at < this.#freshMs) {
      return Promise.resolve(this.#last.value);
    }
    this.#asking ??= this.#ask().then((value) => {
      this.#last = { value, at: performance.now() };
      this.#asking = undefined;
      return value;
    });
    return this.#asking;
  }
}
