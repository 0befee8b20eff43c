import { describe, expect, it } from '@jest/globals';
import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { DuplicateNameError } from '../registry/duplicate-name.error.js';
import { PolicyTable } from './policy-table.js';

class Declines implements DisaggregatedRequestManager {
  dispatch(): undefined {
    return undefined;
  }
}
class AlsoDeclines extends Declines {}

const entry = (name: string, priority: number, manager: DisaggregatedRequestManager = new Declines()) => ({
  name,
  priority,
  manager,
});
const names = (table: PolicyTable): string[] => table.entries.map(({ name }) => name);

describe('PolicyTable', () => {
  it('orders by ascending priority, then by name, whatever the order of registration', () => {
    const table = PolicyTable.EMPTY.with(entry('late', 10))
      .with(entry('b', 0))
      .with(entry('first', -1))
      .with(entry('a', 0));
    expect(names(table)).toEqual(['first', 'a', 'b', 'late']);
  });

  it('is immutable: a change makes the next version, and a request keeps the one that it started with', () => {
    const before = PolicyTable.EMPTY.with(entry('a', 1));
    const kept = before.entries;
    const after = before.with(entry('b', 0));
    expect([PolicyTable.EMPTY.version, before.version, after.version]).toEqual(['0.0', '0.1', '0.2']);
    expect(before.entries).toBe(kept);
    expect(names(before)).toEqual(['a']);
    expect(names(after)).toEqual(['b', 'a']);
  });

  it('stays the same version when the same manager is registered again', () => {
    const same = entry('a', 1);
    const table = PolicyTable.EMPTY.with(same);
    expect(table.with(same)).toBe(table);
  });

  it('gives its entries with a chosen one first, whose condition is not asked, and stays as it is', () => {
    const conditional = { ...entry('b', 5), disaggregateWhen: { minPromptTokens: 9 }, canaryPercent: 10, shadow: true };
    const table = PolicyTable.EMPTY.with(entry('a', 1)).with(conditional).with(entry('c', 7));
    const chosen = table.startingWith('b');
    expect(chosen?.map(({ name }) => name)).toEqual(['b', 'a', 'c']);
    expect(chosen?.[0]).toMatchObject({ disaggregateWhen: undefined, canaryPercent: 100, shadow: true });
    expect(names(table)).toEqual(['a', 'b', 'c']);
    expect(table.entries[1]).toMatchObject(conditional);
    expect(table.startingWith('d')).toBeUndefined();
  });

  it('refuses a second manager of one name, and names both classes', () => {
    const table = PolicyTable.EMPTY.with(entry('a', 1));
    const add = (): PolicyTable => table.with(entry('a', 2, new AlsoDeclines()));
    expect(add).toThrow(DuplicateNameError);
    expect(add).toThrow('Two managers are named "a": Declines and AlsoDeclines.');
    expect(names(table)).toEqual(['a']);
  });
});
