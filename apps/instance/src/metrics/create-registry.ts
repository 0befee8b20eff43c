import { collectDefaultMetrics, Registry } from 'prom-client';

/** Every metric's name starts with it. */
export const METRICS_PREFIX = 'baton_';

/** A registry with the metrics of the process and of Node.js. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: METRICS_PREFIX });
  return registry;
}
