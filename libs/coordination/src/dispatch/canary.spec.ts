import { inferenceRequest, type InferenceRequest } from '@baton/inference';
import { describe, expect, it } from '@jest/globals';
import { isInShare } from './canary.js';

const requestOf = (id: string, clientHeaders: InferenceRequest['clientHeaders'] = {}): InferenceRequest =>
  inferenceRequest('completions', { prompt: 'x' }, { id, clientHeaders });
const ids = Array.from({ length: 10_000 }, (_, index) => `request-${index}`);
const shareOf = (canaryPercent: number, name = 'new'): Set<string> =>
  new Set(ids.filter((id) => isInShare({ name, canaryPercent }, requestOf(id))));

describe('a canary', () => {
  it.each([
    [10, 800, 1_200],
    [50, 4_800, 5_200],
    [0.5, 25, 80],
  ])('of %d percent gets about that share of the requests', (percent, least, most) => {
    const { size } = shareOf(percent);
    expect(size).toBeGreaterThanOrEqual(least);
    expect(size).toBeLessThanOrEqual(most);
  });

  it('of 0 percent gets none, of 100 all', () => {
    expect(shareOf(0).size).toBe(0);
    expect(shareOf(100).size).toBe(ids.length);
  });

  it('gets the same requests each time, also in other processes: the values are fixed', () => {
    expect(shareOf(10)).toEqual(shareOf(10));
    expect([...shareOf(10)].slice(0, FIRST_OF_TEN_PERCENT.length)).toEqual(FIRST_OF_TEN_PERCENT);
  });

  it('keeps the requests that it had when its share grows', () => {
    const small = shareOf(10);
    const large = shareOf(30);
    expect([...small].filter((id) => !large.has(id))).toEqual([]);
  });

  it('has other requests than the canary of another manager', () => {
    const other = shareOf(10, 'other');
    const both = [...shareOf(10)].filter((id) => other.has(id));
    expect(both.length).toBeLessThan(200);
  });

  describe('by a header', () => {
    const share = { name: 'new', canaryPercent: 50, canaryHeader: 'X-Tenant' };

    it('gets all requests of a value, or none', () => {
      const tenants = ids.slice(0, 200);
      const counts = tenants.map(
        (tenant) => ids.slice(0, 20).filter((id) => isInShare(share, requestOf(id, { 'x-tenant': tenant }))).length,
      );
      expect(new Set(counts)).toEqual(new Set([0, 20]));
      expect(counts.filter((count) => count === 20).length).toBeGreaterThan(70);
    });

    it.each<[string, InferenceRequest['clientHeaders']]>([
      ['was not sent', {}],
      ['is empty', { 'x-tenant': '' }],
    ])('goes by the id of a request when it %s', (_what, headers) => {
      const chosen = ids.filter((id) => isInShare(share, requestOf(id, headers)));
      expect(new Set(chosen)).toEqual(shareOf(50));
    });

    it('takes several values together', () => {
      const answers = ids.slice(0, 50).map((id) => isInShare(share, requestOf(id, { 'x-tenant': ['a', 'b'] })));
      expect(new Set(answers).size).toBe(1);
    });
  });
});

/** Written down once: another hash would send clients to other managers in the middle of an upgrade. */
const FIRST_OF_TEN_PERCENT = ['request-2', 'request-13', 'request-16', 'request-22', 'request-25'];
