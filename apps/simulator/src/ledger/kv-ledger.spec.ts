import { afterEach, describe, expect, it } from '@jest/globals';
import { digestOf } from '../engine/prefix-hash.js';
import { blocksOf, contentOf } from './kv-content.js';
import { KvLedger } from './kv-ledger.js';

const idsOf = (seed: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => (seed * 31 + index) % 256);

describe('The KV ledger', () => {
  let ledger = new KvLedger(0, 16);
  const open = (blocks: number): KvLedger => (ledger = new KvLedger(blocks, 16));
  afterEach(() => ledger.close());

  const store = (id: string, ids: readonly number[]): readonly number[] => {
    const { blocks } = ledger.allocate(id, id, ids.length)!;
    ledger.write(id, blocksOf(ids, 16));
    return [...blocks];
  };
  const digestIn = (blocks: readonly number[]): string => contentOf(ledger.blockContents(blocks)).digest;

  it('says who owes what, since when, and what freed it', () => {
    open(8);
    store('a', idsOf(1, 33));
    ledger.hold('a', 'handoff', 30_000);
    expect(ledger.snapshot()).toMatchObject({
      blocksTotal: 8,
      blocksFree: 5,
      held: [{ id: 'a', tokens: 33, blocks: 3, state: 'handoff', leaseEndsInMs: expect.any(Number) }],
      freed: {},
      events: [{ event: 'allocated' }, { event: 'held' }],
    });
    expect([ledger.free('a', 'pulled'), ledger.free('a', 'pulled')]).toEqual([true, false]);
    expect(ledger.snapshot()).toMatchObject({ blocksFree: 8, held: [], freed: { pulled: 1 } });
  });

  it('has no more blocks than it has', () => {
    open(2);
    expect(ledger.allocate('a', 'a', 33)).toBeUndefined();
    store('b', idsOf(1, 20));
    expect(ledger.allocate('c', 'c', 1)).toBeUndefined();
    ledger.grow('b', 400);
    expect(ledger.find('b')?.blocks).toHaveLength(2);
    expect(() => ledger.allocate('b', 'b', 1)).toThrow('already');
  });

  it('finds in blocks what was written there', () => {
    open(8);
    const ids = idsOf(7, 40);
    expect(digestIn(store('a', ids))).toBe(digestOf(ids));
    expect(ledger.read('a', 40)).toEqual({ tokens: 40, digest: digestOf(ids) });
  });

  it('still finds it in blocks that were freed, until another has them', () => {
    open(4);
    const ids = idsOf(1, 32);
    const blocks = store('a', ids);
    ledger.free('a', 'lease_expired');
    expect(digestIn(blocks)).toBe(digestOf(ids));
    expect(store('b', idsOf(2, 32))).toEqual(blocks);
    expect(digestIn(blocks)).toBe(digestOf(idsOf(2, 32)));
  });

  it('makes garbage, not an error, of blocks that do not belong together', () => {
    open(4);
    const ids = idsOf(1, 48);
    const blocks = store('a', ids);
    ledger.free('a', 'lease_expired');
    store('b', idsOf(2, 16));
    const garbage = contentOf(ledger.blockContents(blocks));
    expect(garbage.tokens).toBe(48);
    expect([digestOf(ids), digestOf(idsOf(2, 16))]).not.toContain(garbage.digest);
  });

  it('spoils only what nobody holds', () => {
    open(4);
    const held = store('a', idsOf(1, 16));
    const freed = store('b', idsOf(2, 16));
    ledger.free('b', 'lease_expired');
    ledger.spoil([...held, ...freed]);
    expect(digestIn(held)).toBe(digestOf(idsOf(1, 16)));
    expect(digestIn(freed)).not.toBe(digestOf(idsOf(2, 16)));
  });

  it('tells the life of each cache, and how long those that were handed over waited', () => {
    open(8);
    for (const id of ['a', 'b', 'c']) store(id, idsOf(1, 16));
    ledger.hold('a', 'handoff');
    ledger.hold('b', 'handoff', 60_000);
    ledger.free('a', 'pulled');
    ledger.free('c', 'finished');
    const number = expect.any(Number);
    expect(ledger.lives.all).toEqual([
      { id: 'a', legId: 'a', allocatedAtMs: number, madeAtMs: number, freedAtMs: number, freedBy: 'pulled' },
      { id: 'b', legId: 'b', allocatedAtMs: number, madeAtMs: number },
      { id: 'c', legId: 'c', allocatedAtMs: number, freedAtMs: number, freedBy: 'finished' },
    ]);
    expect(ledger.snapshot()).toMatchObject({
      handoffs: { open: 1, freed: { pulled: { count: 1, medianMs: number, worstMs: number } } },
    });
    ledger.lives.forgetEnded();
    expect(ledger.lives.all).toMatchObject([{ id: 'b' }]);
  });

  it('frees when a lease ends, later when it was extended', async () => {
    open(4);
    for (const id of ['a', 'b']) {
      store(id, idsOf(1, 16));
      ledger.hold(id, 'handoff', 20);
    }
    expect(ledger.extend('b', 60_000)).toBe(true);
    await new Promise<void>((resolve) => ledger.onFreed(resolve));
    expect(ledger.find('a')).toBeUndefined();
    expect(ledger.find('b')).toBeDefined();
    expect(ledger.freedBy('lease_expired')).toBe(1);
    expect(ledger.extend('a', 1)).toBe(false);
  });
});
