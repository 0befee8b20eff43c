/** What of a choice's text may be shown after a token. */
export interface ShownText {
  readonly text: string;
  /** The stop string that the text has run into. */
  readonly stop?: string;
}

/** Looks for stop strings in a growing text and holds back what may be the beginning of one. */
export class StopText {
  readonly #hold: number;
  #pending = '';

  constructor(
    readonly stops: readonly string[],
    readonly includeStop: boolean,
  ) {
    this.#hold = Math.max(0, ...stops.map((stop) => stop.length - 1));
  }

  push(text: string): ShownText {
    this.#pending += text;
    const found = this.stops
      .map((stop) => ({ stop, at: this.#pending.indexOf(stop) }))
      .filter(({ at }) => at !== -1)
      .sort((a, b) => a.at - b.at)[0];
    if (found !== undefined)
      return { text: this.#show(found.at + (this.includeStop ? found.stop.length : 0)), stop: found.stop };
    return { text: this.#show(Math.max(0, this.#pending.length - this.#hold)) };
  }

  /** What was held back, when nothing more comes. */
  rest(): string {
    return this.#show(this.#pending.length);
  }

  #show(length: number): string {
    const shown = this.#pending.slice(0, length);
    this.#pending = this.#pending.slice(length);
    return shown;
  }
}
