const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** The samples of one scrape. Source: Prometheus text exposition format 0.0.4. */
export class Metrics {
  readonly #samples: readonly { name: string; labels: ReadonlyMap<string, string>; value: number }[];

  constructor(text: string) {
    this.#samples = text.split('\n').flatMap((line) => {
      const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
      if (name === undefined) return [];
      return [{ name, labels: readLabels(labels), value: Number(value) }];
    });
  }

  /** Reads the metrics of the instance at `url`, as another instance may. */
  static async of(url: string, apiKey: string, signal: AbortSignal): Promise<Metrics> {
    const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${apiKey}` }, signal });
    return new Metrics(await answer.text());
  }

  /** The sum of all samples of `name` that carry `labels`; undefined when there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const found = this.#samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels.get(key) === value),
    );
    return found.length === 0 ? undefined : found.reduce((total, { value }) => total + value, 0);
  }

  /** How much a counter has grown since `before`; undefined when it does not exist. */
  since(before: Metrics, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const now = this.sum(name, labels);
    return now === undefined ? undefined : now - (before.sum(name, labels) ?? 0);
  }
}

function readLabels(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(LABEL)].map(([, key = '', value = '']) => [key, value]));
}
