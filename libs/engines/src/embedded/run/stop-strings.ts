/** What {@link StopStrings} lets through. */
export interface CheckedText {
  /** Text that is surely part of the answer. */
  readonly text: string;
  /** Whether a stop string was found; the text ends before it. */
  readonly isStopped: boolean;
}

/** Looks for stop strings in a text that comes in pieces. What may be the beginning of one is held back. */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  push(piece: string): CheckedText {
    const text = this.#held + piece;
    const found = Math.min(...this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0));
    if (Number.isFinite(found)) {
      this.#held = '';
      return { text: text.slice(0, found), isStopped: true };
    }
    const safe = text.length - this.#openEndLength(text);
    this.#held = text.slice(safe);
    return { text: text.slice(0, safe), isStopped: false };
  }

  /** What was held back, at the end of the answer. */
  flush(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }

  /** Length of the longest end of `text` that begins a stop string. */
  #openEndLength(text: string): number {
    return this.#stops.reduce((longest, stop) => {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length -= 1) {
        if (text.endsWith(stop.slice(0, length))) return length;
      }
      return longest;
    }, 0);
  }
}
