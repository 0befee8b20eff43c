import type { EngineMetric } from '@baton/engines';
import { Counter, Gauge, type Registry } from 'prom-client';
import { METRICS_PREFIX } from './create-registry.js';
import { MAX_SERIES } from './label-counts.js';

interface KnownMetric {
  readonly metric: Counter | Gauge;
  readonly labels: ReadonlySet<string>;
}

/** The metrics of one registry whose values are read at the moment of a scrape. */
export class ScrapedMetrics {
  readonly #known = new Map<string, KnownMetric>();

  constructor(private readonly registry: Registry) {}

  /**
   * Replaces the values of the last scrape. The same metric may come from several sources, with other labels. One
   * that no source gives any more, since a server is down, is no longer shown.
   */
  update(metrics: readonly EngineMetric[]): void {
    for (const { metric } of this.#known.values()) metric.reset();
    for (const name of new Set(metrics.map((metric) => metric.name))) {
      const parts = metrics.filter((metric) => metric.name === name);
      const metric = this.#metricOf(name, parts);
      const samples = parts.flatMap((part) => part.samples).slice(0, MAX_SERIES);
      for (const { labels = {}, value } of samples) metric.inc(labels, value);
    }
  }

  /** A source that had nothing to say before may bring labels of its own. */
  #metricOf(name: string, parts: readonly EngineMetric[]): Counter | Gauge {
    const labels = parts.flatMap(({ samples }) => samples.flatMap((sample) => Object.keys(sample.labels ?? {})));
    const known = this.#known.get(name);
    if (known !== undefined && labels.every((label) => known.labels.has(label))) return known.metric;
    if (known !== undefined) this.registry.removeSingleMetric(METRICS_PREFIX + name);
    const all = new Set([...(known?.labels ?? []), ...labels]);
    const metric = this.#register(name, parts[0], [...all]);
    this.#known.set(name, { metric, labels: all });
    return metric;
  }

  #register(name: string, part: EngineMetric | undefined, labelNames: string[]): Counter | Gauge {
    const options = { name: METRICS_PREFIX + name, help: part?.help ?? name, labelNames, registers: [this.registry] };
    return part?.type === 'counter' ? new Counter(options) : new Gauge(options);
  }
}
