import { describe, expect, it } from '@jest/globals';
import { LabelCounts, MAX_SERIES } from './label-counts.js';

describe('LabelCounts', () => {
  it('shows what is known from the start, and adds up', () => {
    const counts = new LabelCounts<string>('seen_total', 'Seen.', 'what', ['a', 'b']);
    counts.inc('b');
    counts.inc('c', 2);
    expect(counts.total).toBe(3);
    expect(counts.metric).toEqual({
      ...{ name: 'seen_total', help: 'Seen.', type: 'counter' },
      samples: [
        { labels: { what: 'a' }, value: 0 },
        { labels: { what: 'b' }, value: 1 },
        { labels: { what: 'c' }, value: 2 },
      ],
    });
  });

  it('has a bound on its series, and loses no count', () => {
    const counts = new LabelCounts('seen_total', 'Seen.', 'what');
    for (let i = 0; i < 5_000; i += 1) counts.inc(`label ${i}`);
    expect(counts.metric.samples).toHaveLength(MAX_SERIES);
    expect(counts.total).toBe(5_000);
  });
});
