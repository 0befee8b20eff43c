import type { EngineMetric } from '@baton/engines';
import { describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { ScrapedMetrics } from './scraped-metrics.js';

const waiting = (...samples: EngineMetric['samples']): EngineMetric => ({
  name: 'waiting',
  help: 'Waiting.',
  type: 'gauge',
  samples,
});

describe('ScrapedMetrics', () => {
  it('shows the last values alone, under labels that may come later', async () => {
    const registry = new Registry();
    const scraped = new ScrapedMetrics(registry);
    const lines = async (): Promise<string[]> =>
      (await registry.metrics()).split('\n').filter((line) => line.startsWith('baton_waiting'));

    scraped.update([waiting()]);
    expect((await lines()).filter((line) => line.includes('endpoint'))).toEqual([]);
    scraped.update([waiting({ labels: { endpoint: 'a:1' }, value: 3 })]);
    expect(await lines()).toEqual(['baton_waiting{endpoint="a:1"} 3']);
    scraped.update([waiting({ labels: { endpoint: 'b:1' }, value: 4 })]);
    expect(await lines()).toEqual(['baton_waiting{endpoint="b:1"} 4']);
    scraped.update([]);
    expect(await lines()).toEqual([]);
  });
});
