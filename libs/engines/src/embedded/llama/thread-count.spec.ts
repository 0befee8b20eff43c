import { describe, expect, it } from '@jest/globals';
import { threadCount } from './thread-count.js';

describe('threadCount', () => {
  it.each([
    { wanted: 0, instances: 1, cores: 1, threads: 1 },
    { wanted: 0, instances: 1, cores: 2, threads: 1 },
    { wanted: 0, instances: 2, cores: 2, threads: 1 },
    { wanted: 0, instances: 4, cores: 2, threads: 1 },
    { wanted: 0, instances: 2, cores: 8, threads: 4 },
    { wanted: 0, instances: 1, cores: 64, threads: 4 },
    { wanted: 8, instances: 1, cores: 16, threads: 8 },
    { wanted: 8, instances: 2, cores: 2, threads: 1 },
  ])(
    'gives $threads for $wanted wanted, $instances instances, $cores cores',
    ({ wanted, instances, cores, threads }) => {
      expect(threadCount(wanted, instances, cores)).toBe(threads);
    },
  );
});
