import type { DialectMetrics } from '@baton/remotes';
import type { EngineMetric } from '../engine.js';
import { sampleValues } from './prometheus-text.js';

interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly source: (names: DialectMetrics) => string | undefined;
  /** Of the server's values, one for each of its engines and models, which are at least one. */
  readonly of: (values: readonly number[]) => number;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const GAUGES: readonly Gauge[] = [
  {
    name: 'engine_requests_waiting',
    help: 'Requests that wait in the engine server.',
    source: ({ waiting }) => waiting,
    of: sum,
  },
  {
    name: 'engine_requests_running',
    help: 'Requests that the engine server computes.',
    source: ({ running }) => running,
    of: sum,
  },
  {
    name: 'engine_kv_usage_ratio',
    help: 'Part of the KV cache of the engine server that is in use, 0 to 1; of several caches the mean.',
    source: ({ kvUsage }) => kvUsage,
    of: (values) => sum(values) / values.length,
  },
];

/** What of a server's own metrics tells how busy it is; what it does not tell is left out. */
export function serverLoad(text: string, names: DialectMetrics): EngineMetric[] {
  return GAUGES.flatMap(({ name, help, source, of }) => {
    const theirs = source(names);
    const values = theirs === undefined ? [] : sampleValues(text, theirs);
    return values.length === 0 ? [] : [{ name, help, type: 'gauge' as const, samples: [{ value: of(values) }] }];
  });
}
