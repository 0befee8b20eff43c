import type { EngineMetric } from '@baton/engines';
import { Counter, Gauge, type Registry } from 'prom-client';
import { METRICS_PREFIX } from './create-registry.js';

/** The metrics of one registry whose values are read at the moment of a scrape. */
export class ScrapedMetrics {
  readonly #known = new Map<string, Counter | Gauge>();

  constructor(private readonly registry: Registry) {}

  /** Replaces the values of the last scrape. The same metric may come from several sources, with other labels. */
  update(metrics: readonly EngineMetric[]): void {
    for (const name of new Set(metrics.map((metric) => metric.name))) {
      const parts = metrics.filter((metric) => metric.name === name);
      const metric = this.#known.get(name) ?? this.#register(name, parts);
      metric.reset();
      for (const { labels = {}, value } of parts.flatMap(({ samples }) => samples)) metric.inc(labels, value);
    }
  }

  #register(name: string, parts: readonly EngineMetric[]): Counter | Gauge {
    const options = {
      name: METRICS_PREFIX + name,
      help: parts[0]?.help ?? name,
      labelNames: [
        ...new Set(parts.flatMap(({ samples }) => samples.flatMap(({ labels }) => Object.keys(labels ?? {})))),
      ],
      registers: [this.registry],
    };
    const metric = parts[0]?.type === 'counter' ? new Counter(options) : new Gauge(options);
    this.#known.set(name, metric);
    return metric;
  }
}
