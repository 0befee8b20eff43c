import type { EngineMetric } from '@baton/engines';

/** Whatever labels are made of, a metric never has more series than that. */
export const MAX_SERIES = 1_000;
/** The label of all that came when there was no more room. */
const OTHER = 'other';

/**
 * A counter with one label, kept as plain numbers: those of one scrape are read at one moment, so that what has to add up
 * does.
 */
export class LabelCounts<Label extends string = string> {
  readonly #counts = new Map<string, number>();

  /** @param known labels that are shown from the start: a series that appears with its first event looks as if nothing had happened. */
  constructor(
    private readonly name: string,
    private readonly help: string,
    private readonly label: string,
    known: readonly Label[] = [],
  ) {
    this.know(known);
  }

  /** The sum over all labels. */
  get total(): number {
    let sum = 0;
    for (const count of this.#counts.values()) sum += count;
    return sum;
  }

  know(labels: readonly Label[]): void {
    for (const label of labels) this.inc(label, 0);
  }

  inc(label: Label, by = 1): void {
    const key = this.#counts.has(label) || this.#counts.size < MAX_SERIES - 1 ? label : OTHER;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by);
  }

  get metric(): EngineMetric {
    const samples = [...this.#counts].map(([value, count]) => ({ labels: { [this.label]: value }, value: count }));
    return { name: this.name, help: this.help, type: 'counter', samples };
  }
}

/** A metric without labels. */
export function single(name: string, help: string, type: 'counter' | 'gauge', value: number): EngineMetric {
  return { name, help, type, samples: [{ value }] };
}
