import { describe, expect, it } from '@jest/globals';
import { RecentEnds } from './recent-ends.js';

describe('RecentEnds', () => {
  it('counts what says whether a request can be finished', () => {
    const ends = new RecentEnds();
    for (const reason of ['upstream_error', 'timeout_first_token', 'upstream_truncated', 'complete'] as const) {
      ends.record(reason);
    }
    for (const reason of ['client_gone', 'client_error', 'aborted', 'drain', 'rejected', 'deadline'] as const) {
      ends.record(reason);
    }
    expect(ends.counts).toEqual({ finished: 1, failed: 3 });
  });

  it('forgets within a minute, without being told anything new', () => {
    let now = 3;
    const ends = new RecentEnds(() => now);
    ends.record('upstream_error');
    now = 30_000;
    ends.record('complete');
    expect(ends.counts).toEqual({ finished: 1, failed: 1 });
    now = 60_001;
    expect(ends.counts).toEqual({ finished: 1, failed: 0 });
    now = 1e9;
    expect(ends.counts).toEqual({ finished: 0, failed: 0 });
  });
});
