import { describe, expect, it } from '@jest/globals';
import { FairQueue } from './fair-queue.js';

function queueOf(...items: string[]): FairQueue<string> {
  const queue = new FairQueue<string>();
  for (const item of items) queue.add(item.slice(0, 1), item);
  return queue;
}

const drained = (queue: FairQueue<string>): string[] => {
  const taken: string[] = [];
  for (let next = queue.take(); next !== undefined; next = queue.take()) taken.push(next);
  return taken;
};

describe('FairQueue', () => {
  it('serves owners in turn, and each in the order in which it came', () => {
    const queue = queueOf('a1', 'a2', 'a3', 'b1', 'c1', 'b2');
    expect([queue.size, [...queue].sort()]).toEqual([6, ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']]);
    expect(drained(queue)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
    expect([queue.size, [...queue]]).toEqual([0, []]);
  });

  it('passes over who cannot be served, who keeps the turn', () => {
    const queue = queueOf('a1', 'b1', 'b2');
    expect(queue.take((item) => item !== 'a1')).toBe('b1');
    expect(queue.take((item) => item === 'c1')).toBeUndefined();
    expect(drained(queue)).toEqual(['a1', 'b2']);
  });

  it('forgets who leaves, also twice', () => {
    const queue = queueOf('a1', 'a2', 'b1');
    for (let time = 0; time < 2; time++) queue.remove('a', 'a1');
    queue.remove('d', 'd1');
    expect([queue.size, drained(queue)]).toEqual([2, ['a2', 'b1']]);
  });

  it('takes the surplus of who has the most, and never more than evens it out', () => {
    const queue = queueOf('a1', 'a2', 'a3', 'b1');
    expect(queue.takeSurplus('c')).toBe('a3');
    expect(queue.takeSurplus('b')).toBeUndefined();
    expect(queue.takeSurplus('a')).toBeUndefined();
    expect(queue.takeSurplus('c')).toBe('a2');
    expect(queue.takeSurplus('c')).toBeUndefined();
    expect(queue.size).toBe(2);
  });
});
