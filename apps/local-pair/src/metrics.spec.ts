import { describe, expect, it } from '@jest/globals';
import { Metrics } from './metrics.js';

const metrics = new Metrics(`# HELP tokens How many.
# TYPE tokens counter
tokens{source="evaluated"} 3
tokens{source="handoff",note="a \\"b\\", c"} 4 1700000000000
seconds 2.5e-1
`);

describe('Metrics', () => {
  it('sums the samples that carry the labels', () => {
    expect(metrics.sum('tokens')).toBe(7);
    expect(metrics.sum('tokens', { source: 'handoff' })).toBe(4);
    expect(metrics.sum('seconds')).toBe(0.25);
  });

  it('knows a metric that is not there from one that is 0', () => {
    expect(metrics.sum('token')).toBeUndefined();
    expect(metrics.sum('tokens', { source: 'prefix_cache' })).toBeUndefined();
  });

  it('says how much a counter has grown, also one that was not there before', () => {
    expect(metrics.since(new Metrics('tokens{source="evaluated"} 1'), 'tokens')).toBe(6);
    expect(metrics.since(metrics, 'seconds')).toBe(0);
    expect(metrics.since(metrics, 'nothing')).toBeUndefined();
  });
});
