import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstValueFrom } from 'rxjs';
import { FilePolicyState } from './file-policy-state.js';
import type { PolicyOverrides } from './manager-policy.js';
import type { PolicyVersion } from './policy-state.js';

let directory: string;
let opened: FilePolicyState[];

function stateOf(at = directory): FilePolicyState {
  const state = new FilePolicyState(at);
  opened.push(state);
  return state;
}

const overrides: PolicyOverrides = new Map([
  ['a', { priority: 3, disaggregateWhen: { apis: ['chat'], header: { name: 'x-tier', value: 'gold' } } }],
  ['b', { enabled: false, canaryPercent: 12.5, canaryHeader: 'x-tenant', shadow: true }],
]);
const versionOf = (version: number, changes: Partial<PolicyVersion> = {}): PolicyVersion => ({
  version,
  at: '2026-01-01T00:00:00.000Z',
  who: 'ops',
  reason: 'because',
  action: 'change',
  diff: [{ manager: 'a', field: 'priority', from: 0, to: 3 }],
  snapshot: `${version}.2`,
  overrides,
  ...changes,
});
const numbersOf = async (state: FilePolicyState): Promise<number[]> =>
  (await state.versions()).map(({ version }) => version);
const commit = (state: FilePolicyState, after: number): Promise<PolicyVersion | undefined> =>
  state.commit(after, versionOf);
const faultsOf = (state: FilePolicyState): string[] => {
  const faults: string[] = [];
  state.faults.subscribe(({ message }) => faults.push(message));
  return faults;
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'baton-policies-'));
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((state) => state.close()));
  await rm(directory, { recursive: true, force: true });
});

describe('FilePolicyState', () => {
  it('gives another process all that was kept', async () => {
    const versions = [versionOf(1), versionOf(2, { action: 'rollback', reason: undefined, overrides: new Map() })];
    const state = stateOf();
    for (const [index, version] of versions.entries()) {
      expect(await state.commit(index, () => version)).toBe(version);
    }
    expect(await stateOf().versions()).toEqual(versions);
    expect(await readdir(directory)).toEqual(['policy-1.json', 'policy-2.json']);
  });

  it('gives each number once: who is second gets nothing', async () => {
    const [one, two] = [stateOf(), stateOf()];
    const both = await Promise.all([commit(one, 0), commit(two, 0)]);
    expect(both.filter((version) => version !== undefined)).toHaveLength(1);
    expect(await commit(two, 0)).toBeUndefined();
    expect(await commit(two, 1)).toMatchObject({ version: 2 });
    expect(await numbersOf(one)).toEqual([1, 2]);
  });

  it('makes the directory with the first version, not before', async () => {
    const nested = join(directory, 'a', 'b');
    const state = stateOf(nested);
    expect(await state.versions()).toEqual([]);
    expect(await readdir(directory)).toEqual([]);
    await commit(state, 0);
    expect(await readdir(nested)).toEqual(['policy-1.json']);
  });

  it('keeps the latest 100', async () => {
    const state = stateOf();
    for (let version = 0; version < 103; version += 1) await commit(state, version);
    expect(await readdir(directory)).toHaveLength(100);
    const numbers = await numbersOf(stateOf());
    expect([numbers[0], numbers.at(-1)]).toEqual([4, 103]);
  });

  it('does not take a number for free whose version was removed', async () => {
    const [late, busy] = [stateOf(), stateOf()];
    await commit(late, 0);
    for (let version = 1; version < 150; version += 1) await commit(busy, version);
    // As if its process was stopped between its look at the directory and its choice of a number.
    expect(await late.commit(150, () => versionOf(3))).toBeUndefined();
    expect(await readdir(directory)).not.toContain('policy-3.json');
  });

  describe('after a crash', () => {
    it('takes no notice of files that were not finished, and removes old ones', async () => {
      const [old, fresh] = ['.policy-7-old.tmp', '.policy-7-fresh.tmp'];
      for (const name of [old, fresh]) await writeFile(join(directory, name), '{"format": 1, "ver');
      await utimes(join(directory, old), 1, 1);
      const state = stateOf();
      const faults = faultsOf(state);
      expect(await numbersOf(state)).toEqual([]);
      expect(await commit(state, 0)).toMatchObject({ version: 1 });
      expect((await readdir(directory)).sort()).toEqual([fresh, 'policy-1.json']);
      expect(faults).toEqual([]);
    });
  });

  describe.each<[string, (path: string) => Promise<unknown>, string]>([
    ['is not JSON', (path) => writeFile(path, '{"format": 1, "ver'), 'JSON'],
    ['is empty', (path) => writeFile(path, ''), 'JSON'],
    ['is of another format', (path) => writeFile(path, '{"format": 2}'), 'format 1'],
    [
      'holds another version than its name says',
      (path) => writeFile(path, JSON.stringify({ format: 1, ...versionOf(3), managers: [] })),
      'not that of its name',
    ],
    [
      'holds a policy that is none',
      (path) =>
        writeFile(path, JSON.stringify({ format: 1, ...versionOf(2), managers: [{ name: 'a', canaryPercent: 101 }] })),
      'Manager "a": managers[0].canaryPercent must be a number from 0 to 100',
    ],
    [
      'has a difference that is none',
      (path) => writeFile(path, JSON.stringify({ format: 1, ...versionOf(2), managers: [], diff: [{}] })),
      '"diff"',
    ],
    ['is a directory', (path) => mkdir(path), 'no regular file'],
    ['is a link', (path) => symlink('policy-1.json', path), 'no regular file'],
    ['is too large', (path) => writeFile(path, ' '.repeat(4 * 1024 ** 2 + 1)), 'bytes'],
  ])('with a file that %s', (_what, damage, message) => {
    it('tells of it once, skips it, and goes on behind it', async () => {
      await commit(stateOf(), 0);
      await damage(join(directory, 'policy-2.json'));
      const [state, other] = [stateOf(), stateOf()];
      const faults = faultsOf(state);
      expect(await numbersOf(state)).toEqual([1]);
      expect(await numbersOf(state)).toEqual([1]);
      expect(faults).toEqual([expect.stringContaining(message)]);
      expect(faults[0]).toContain('policy-2.json');
      expect(await commit(state, 1)).toMatchObject({ version: 3 });
      expect(await numbersOf(other)).toEqual([1, 3]);
    });
  });

  it('takes no notice of files of others', async () => {
    const names = ['policy-0.json', 'policy-01.json', 'policy-x.json', 'policy-1.json.bak', 'README'];
    for (const name of names) await writeFile(join(directory, name), 'x');
    const state = stateOf();
    const faults = faultsOf(state);
    expect(await numbersOf(state)).toEqual([]);
    expect(await commit(state, 0)).toMatchObject({ version: 1 });
    expect(await readdir(directory)).toEqual(expect.arrayContaining(names));
    expect(faults).toEqual([]);
  });

  describe('when the directory vanishes', () => {
    it('tells of it once, and makes it again with the next version, which is a higher one', async () => {
      const state = stateOf();
      const faults = faultsOf(state);
      await commit(state, 0);
      await commit(state, 1);
      await rm(directory, { recursive: true });
      expect(await numbersOf(state)).toEqual([]);
      expect(await numbersOf(state)).toEqual([]);
      expect(faults).toEqual([expect.stringContaining('is gone')]);
      expect(await commit(state, 2)).toMatchObject({ version: 3 });
      expect(await numbersOf(stateOf())).toEqual([3]);
    });

    it('reads what is there when another one comes in its place', async () => {
      const state = stateOf();
      await commit(state, 0);
      await rename(directory, `${directory}-aside`);
      await state.versions();
      await commit(stateOf(), 0);
      await rm(`${directory}-aside`, { recursive: true });
      expect(await numbersOf(state)).toEqual([1]);
    });
  });

  it('fails when it cannot keep anything', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    await expect(commit(stateOf(file), 0)).rejects.toThrow();
    await expect(commit(stateOf(join(file, 'in-a-file')), 0)).rejects.toThrow();
  });

  it('keeps nothing that it would not read again', async () => {
    const models = Array.from({ length: 1_000 }, (_, index) => `${index}-${'x'.repeat(5_000)}`);
    const large = { overrides: new Map([['a', { disaggregateWhen: { models } }]]) };
    const state = stateOf();
    await commit(state, 0);
    const refused = state.commit(1, (version) => versionOf(version, large));
    await expect(refused).rejects.toMatchObject({ status: 413, code: 'policies_too_large', param: 'managers' });
    expect(await readdir(directory)).toEqual(['policy-1.json']);
    expect(await numbersOf(state)).toEqual([1]);
  });

  it('keeps nothing that is not waited for any more', async () => {
    const left = new AbortController();
    const make = (version: number): PolicyVersion => {
      left.abort();
      return versionOf(version);
    };
    await expect(stateOf().commit(0, make, left.signal)).rejects.toMatchObject({ name: 'AbortError' });
    expect(await readdir(directory)).toEqual([]);
  });

  it('notices what another process commits', async () => {
    const state = stateOf();
    const noticed = firstValueFrom(state.changed);
    await commit(stateOf(), 0);
    await noticed;
    expect(await numbersOf(state)).toEqual([1]);
  });

  it.each([
    ['', undefined, 'policyState.directory'],
    ['x', 0, 'policyState.pollMs'],
    ['x', 1.5, 'policyState.pollMs'],
  ])('refuses the directory %j with a poll of %s', (at, pollMs, message) => {
    expect(() => new FilePolicyState(at, { pollMs })).toThrow(message);
  });
});
