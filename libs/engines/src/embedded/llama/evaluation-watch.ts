/** Knows since when the engine's evaluations are under way, so that a hang shows in the readiness. */
export class EvaluationWatch {
  readonly #started = new Set<{ readonly at: number }>();

  /** Watches one evaluation until it ends. */
  async during<T>(evaluation: Promise<T>): Promise<T> {
    const mark = { at: performance.now() };
    this.#started.add(mark);
    try {
      return await evaluation;
    } finally {
      this.#started.delete(mark);
    }
  }

  /** Milliseconds since the oldest evaluation under way began; 0 when there is none. */
  oldestMs(): number {
    const [oldest] = this.#started;
    return oldest === undefined ? 0 : performance.now() - oldest.at;
  }
}
