/** Calls `next` after `intervalMs`; the returned function cancels that. */
export type Pace = (intervalMs: number, next: () => void) => () => void;

/** Each stream by a timer of its own. */
export const ownTimers: Pace = (intervalMs, next) => {
  const timer = setTimeout(next, intervalMs);
  return () => clearTimeout(timer);
};

/** All streams of one interval together, as an engine with continuous batching gives every sequence one token a step. */
export function batchSteps(): Pace {
  const batches = new Map<number, Batch>();
  return (intervalMs, next) => {
    const batch = batches.get(intervalMs) ?? new Batch(intervalMs);
    batches.set(intervalMs, batch);
    return batch.add(next);
  };
}

class Batch {
  #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly intervalMs: number) {}

  add(next: () => void): () => void {
    this.#waiting.add(next);
    this.#timer ??= setInterval(() => this.#step(), this.intervalMs);
    return () => this.#waiting.delete(next);
  }

  #step(): void {
    const due = this.#waiting;
    this.#waiting = new Set();
    for (const next of due) next();
    if (due.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
