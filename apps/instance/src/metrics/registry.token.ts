/** Injection token of this application's prom-client `Registry`. There is no global one: two instances fit in a process. */
export const METRICS_REGISTRY = Symbol.for('baton/metrics-registry');
