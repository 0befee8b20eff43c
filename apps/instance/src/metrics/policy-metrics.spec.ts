import { expect, it } from '@jest/globals';
import { Subject } from 'rxjs';
import { PolicyMetrics, type PolicySource } from './policy-metrics.js';

it('shows the policies that are in force, how often they changed, and what managers say', () => {
  const changes = new Subject<{ action: 'change' | 'rollback' }>();
  const counters = {
    ...{ asked: 99, took: 1, declined: 2, refused: 3, failed: 4, skipped: 5 },
    ...{ shadowTook: 6, shadowDeclined: 7, shadowFailed: 8 },
  };
  const source: PolicySource = { changes, current: () => ({ version: 7, managers: [{ name: 'local', counters }] }) };
  const metrics = new PolicyMetrics(source);
  // Of an earlier process.
  changes.next({ action: 'rollback' });
  metrics.onApplicationBootstrap();
  changes.next({ action: 'change' });
  changes.next({ action: 'change' });
  const samples = metrics
    .snapshot()
    .flatMap((metric) =>
      metric.samples.map(({ labels = {}, value }) => [metric.name, ...Object.values(labels), value].join(' ')),
    );
  const said = Object.entries({
    ...{ took: 1, declined: 2, refused: 3, failed: 4, skipped: 5 },
    ...{ shadow_took: 6, shadow_declined: 7, shadow_failed: 8 },
  });
  expect(samples).toEqual([
    'policy_version 7',
    ...['policy_changes_total change 2', 'policy_changes_total rollback 0'],
    ...said.map(([verdict, count]) => `manager_verdicts_total local ${verdict} ${count}`),
  ]);
  metrics.onApplicationShutdown();
  expect(changes.observed).toBe(false);
});
