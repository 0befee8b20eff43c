import { expect, it } from '@jest/globals';
import { Subject } from 'rxjs';
import { PluginMetrics, type PluginSource } from './plugin-metrics.js';

it('counts what happens to plugins, and shows how they are', () => {
  const events = new Subject<{ action: 'loaded' | 'refused' | 'unloaded' }>();
  const faults = new Subject<{ plugin: string }>();
  const source: PluginSource = {
    ...{ events, faults, imports: 2 },
    list: () => [
      { name: 'a', status: 'loaded' },
      { name: 'b', status: 'refused' },
    ],
  };
  const metrics = new PluginMetrics(source);
  for (const action of ['loaded', 'loaded', 'refused', 'unloaded'] as const) events.next({ action });
  faults.next({ plugin: 'b' });
  const samples = metrics
    .snapshot()
    .flatMap((metric) =>
      metric.samples.map(({ labels = {}, value }) => [metric.name, ...Object.values(labels), value].join(' ')),
    );
  expect(samples).toEqual([
    ...['plugins loaded 1', 'plugins refused 1', 'plugins switched_off 0', 'plugins draining 0', 'plugins unloaded 0'],
    'plugin_imports 2',
    ...['plugin_loads_total loaded 2', 'plugin_loads_total replaced 0', 'plugin_loads_total refused 1'],
    ...['plugin_failures_total b 1', 'plugin_failures_total a 0'],
  ]);
  metrics.onApplicationShutdown();
  expect([events.observed, faults.observed]).toEqual([false, false]);
});
