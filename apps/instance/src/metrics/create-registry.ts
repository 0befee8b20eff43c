import { collectDefaultMetrics, Registry } from 'prom-client';

/** Every metric's name starts with it. */
export const METRICS_PREFIX = 'baton_';

/** Node walks its live objects for them, which it does not document and which can end the process; resources are counted. */
const UNSAFE = [
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
];

/** A registry with the metrics of the process and of Node.js. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: METRICS_PREFIX });
  for (const name of UNSAFE) registry.removeSingleMetric(METRICS_PREFIX + name);
  return registry;
}
