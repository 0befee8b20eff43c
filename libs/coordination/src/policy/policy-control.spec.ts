import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Provider } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import fc from 'fast-check';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstValueFrom, NEVER } from 'rxjs';
import { CoordinationModule } from '../coordination.module.js';
import type { CoordinationOptions, PolicyStateOptions } from '../coordination.options.js';
import type { PolicyTable } from '../dispatch/policy-table.js';
import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { RequestManager } from '../managers/request-manager.decorator.js';
import { CoordinationObserver } from '../observer.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import type { ManagerPolicy, PolicyChange } from './manager-policy.js';
import { MemoryPolicyState } from './memory-policy-state.js';
import type { PolicyAudit } from './policy-audit.js';
import { PolicyControl } from './policy-control.js';
import { PolicyState } from './policy-state.js';

class Declines implements DisaggregatedRequestManager {
  dispatch(): undefined {
    return undefined;
  }
}
@RequestManager({ name: 'a', priority: 1 })
class A extends Declines {}
@RequestManager({ name: 'b', priority: 2 })
class B extends Declines {}
@RequestManager({ name: 'c', priority: 3, enabled: false })
class C extends Declines {}

const IN_TREE_MANAGERS = [
  'decode-local-prefill-remote',
  'local',
  'prefill-local-decode-remote',
  'prefill-remote-decode-remote',
  'remote',
];
const ops = { who: 'ops', reason: 'test' };
let modules: TestingModule[];
let directory: string;

interface Application {
  readonly control: PolicyControl;
  readonly registry: ManagerRegistry;
  readonly faults: jest.SpiedFunction<CoordinationObserver['policyStateFailed']>;
  close(): Promise<void>;
}

async function application(options: CoordinationOptions = {}, providers: Provider[] = []): Promise<Application> {
  const module = await Test.createTestingModule({
    imports: [CoordinationModule.forRoot({ ...options, providers })],
    providers: [A, B, C],
  }).compile();
  const faults = jest.spyOn(module.get(CoordinationObserver), 'policyStateFailed');
  await module.init();
  modules.push(module);
  return {
    control: module.get(PolicyControl),
    registry: module.get(ManagerRegistry),
    faults,
    close: () => module.close(),
  };
}

const shared = (): { policyState: PolicyStateOptions } => ({
  policyState: { kind: 'file', directory, pollMs: 20 },
});
/** The names that are asked, of those of this file. */
const own = ({ registry }: Application): string[] =>
  registry.table.entries.map(({ name }) => name).filter((name) => !IN_TREE_MANAGERS.includes(name));
const policyOf = ({ control }: Application, name: string): ManagerPolicy | undefined =>
  control.current().managers.find((manager) => manager.name === name);
/** Until another process's version is in force here. */
const reached = async ({ control }: Application, version: number): Promise<void> => {
  while (control.current().version < version) await firstValueFrom(control.changes);
};

beforeEach(async () => {
  modules = [];
  directory = await mkdtemp(join(tmpdir(), 'baton-control-'));
});
afterEach(async () => {
  await Promise.all(modules.map((module) => module.close()));
  await rm(directory, { recursive: true, force: true });
});

describe('PolicyControl', () => {
  it('starts with version 0, which is what decorators and configuration say', async () => {
    const app = await application({ managers: [{ name: 'b', priority: -1, canaryPercent: 5, shadow: true }] });
    const { version, id, managers, absent } = app.control.current();
    expect([version, absent]).toEqual([0, []]);
    expect(id).toBe(app.registry.table.version);
    expect(managers.filter(({ name }) => !IN_TREE_MANAGERS.includes(name))).toMatchObject([
      { name: 'b', position: 1, enabled: true, priority: -1, canaryPercent: 5, shadow: true, origin: 'in-tree' },
      { name: 'a', enabled: true, priority: 1, canaryPercent: 100, shadow: false, counters: { asked: 0 } },
      { name: 'c', enabled: false, position: null, priority: 3 },
    ]);
    expect(await app.control.history()).toEqual([]);
  });

  it('changes several managers as one version, and tells of it', async () => {
    const app = await application();
    const audits: PolicyAudit[] = [];
    app.control.changes.subscribe((audit) => audits.push(audit));
    const before = app.registry.table;
    const after = await app.control.change(
      [
        { name: 'a', priority: 9, canaryPercent: 10, canaryHeader: 'x-tenant' },
        { name: 'b', enabled: false },
        { name: 'c', enabled: true, disaggregateWhen: { minPromptTokens: 5 } },
      ],
      ops,
      0,
    );
    expect(own(app)).toEqual(['c', 'a']);
    expect(after).toMatchObject({ version: 1, id: `1.${before.revision}` });
    expect(after).toEqual(app.control.current());
    expect(before.entries.map(({ name }) => name)).toContain('b');
    expect(audits).toEqual([
      {
        version: 1,
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        who: 'ops',
        reason: 'test',
        action: 'change',
        snapshot: after.id,
        isOwn: true,
        diff: [
          { manager: 'a', field: 'priority', from: 1, to: 9 },
          { manager: 'a', field: 'canaryPercent', from: 100, to: 10 },
          { manager: 'a', field: 'canaryHeader', from: null, to: 'x-tenant' },
          { manager: 'b', field: 'enabled', from: true, to: false },
          { manager: 'c', field: 'enabled', from: false, to: true },
          { manager: 'c', field: 'disaggregateWhen', from: null, to: { minPromptTokens: 5 } },
        ],
      },
    ]);
    const [{ isOwn: _isOwn, ...told }] = audits as [PolicyAudit & { isOwn: boolean }];
    expect(await app.control.history()).toEqual([told]);
  });

  it('comes before the configuration, and null gives a field back to it', async () => {
    const app = await application({ managers: [{ name: 'a', priority: 7, enabled: false, shadow: true }] });
    await app.control.change([{ name: 'a', priority: 8, enabled: true, shadow: false }], ops);
    expect(policyOf(app, 'a')).toMatchObject({ priority: 8, enabled: true, shadow: false });
    await app.control.change([{ name: 'a', priority: null, shadow: null }], ops);
    expect(policyOf(app, 'a')).toMatchObject({ priority: 7, enabled: true, shadow: true });
    await app.control.change([{ name: 'a', enabled: null }], ops);
    expect(policyOf(app, 'a')).toMatchObject({ priority: 7, enabled: false });
  });

  it('makes no version of what changes nothing', async () => {
    const app = await application();
    await app.control.change([{ name: 'a', priority: 8 }], ops);
    expect(await app.control.change([{ name: 'a', priority: 8 }, { name: 'b' }], ops)).toMatchObject({ version: 1 });
    expect(await app.control.rollback(1, ops)).toMatchObject({ version: 1 });
    expect(await app.control.history()).toHaveLength(1);
  });

  it('cannot be changed by way of what it was given, or gives', async () => {
    const app = await application();
    const when = { apis: ['chat' as const] };
    await app.control.change([{ name: 'a', disaggregateWhen: when }], ops);
    const given = policyOf(app, 'a')?.disaggregateWhen;
    expect(() => Object.assign(given ?? {}, { apis: [] })).toThrow(TypeError);
    (when.apis as string[]).push('generate');
    expect(policyOf(app, 'a')?.disaggregateWhen).toEqual({ apis: ['chat'] });
    await app.control.change([{ name: 'b', priority: 7 }], ops);
    expect(policyOf(app, 'a')?.disaggregateWhen).toEqual({ apis: ['chat'] });
  });

  describe('rollback', () => {
    it('puts an earlier version in force as a new one', async () => {
      const app = await application();
      await app.control.change([{ name: 'a', priority: 8 }], ops);
      await app.control.change(
        [
          { name: 'a', priority: 9 },
          { name: 'b', enabled: false },
        ],
        ops,
      );
      expect(await app.control.rollback(1, { who: 'night shift' }, 2)).toMatchObject({ version: 3 });
      expect(own(app)).toEqual(['b', 'a']);
      expect(policyOf(app, 'a')).toMatchObject({ priority: 8 });
      expect((await app.control.history())[0]).toMatchObject({
        version: 3,
        who: 'night shift',
        reason: undefined,
        action: 'rollback',
        diff: [
          { manager: 'a', field: 'priority', from: 9, to: 8 },
          { manager: 'b', field: 'enabled', from: false, to: true },
        ],
      });
    });

    it('to version 0 gives everything back to decorators and configuration', async () => {
      const app = await application();
      await app.control.change([{ name: 'a', priority: 8 }], ops);
      await app.control.rollback(0, ops);
      expect(policyOf(app, 'a')).toMatchObject({ priority: 1 });
      expect(app.control.current().version).toBe(2);
    });

    it.each([2, -1, 0.5])('refuses the version %d, which there is not', async (version) => {
      const app = await application();
      await app.control.change([{ name: 'a', priority: 8 }], ops);
      await expect(app.control.rollback(version, ops)).rejects.toMatchObject({
        status: 404,
        code: 'unknown_policy_version',
      });
    });

    it('forgets versions beyond the latest 100', async () => {
      const app = await application();
      for (let priority = 1; priority <= 102; priority += 1) await app.control.change([{ name: 'b', priority }], ops);
      expect(await app.control.history()).toHaveLength(100);
      await expect(app.control.rollback(2, ops)).rejects.toMatchObject({ code: 'unknown_policy_version' });
      expect(await app.control.rollback(3, ops)).toMatchObject({ version: 103 });
    });
  });

  it('refuses what was decided on another version, and changes nothing', async () => {
    const app = await application();
    await app.control.change([{ name: 'a', priority: 8 }], ops, 0);
    const mismatch = { status: 412, code: 'policy_version_mismatch', message: expect.stringContaining('version 1') };
    await expect(app.control.change([{ name: 'a', priority: 9 }], ops, 0)).rejects.toMatchObject(mismatch);
    await expect(app.control.rollback(0, ops, 7)).rejects.toMatchObject(mismatch);
    expect(policyOf(app, 'a')).toMatchObject({ priority: 8 });
  });

  it.each<[string, unknown, string, string]>([
    ['no list', { name: 'a' }, 'managers', 'a list of 1 to 1024 changes'],
    ['nothing', [], 'managers', 'a list of 1 to 1024 changes'],
    ['no map', ['a'], 'managers[0]', 'must be a map'],
    ['no name', [{ priority: 1 }], 'managers[0].name', 'the name of a manager'],
    [
      'an unknown manager',
      [{ name: 'b' }, { name: 'z' }],
      'managers[1].name',
      'Manager "z": managers[1].name names no',
    ],
    ['one twice', [{ name: 'a' }, { name: 'a' }], 'managers[1].name', 'listed twice'],
    ['an unknown field', [{ name: 'a', prio: 1 }], 'managers[0].prio', 'Manager "a"'],
    ['a prototype', [{ name: 'a', constructor: 1 }], 'managers[0].constructor', 'not known'],
    ['a text for a flag', [{ name: 'a', enabled: 'no' }], 'managers[0].enabled', 'true or false'],
    ['half a priority', [{ name: 'a', priority: 0.5 }], 'managers[0].priority', 'a whole number'],
    ['too large a share', [{ name: 'a', canaryPercent: 100.5 }], 'managers[0].canaryPercent', 'from 0 to 100'],
    ['no share', [{ name: 'a', canaryPercent: NaN }], 'managers[0].canaryPercent', 'from 0 to 100'],
    ['no header', [{ name: 'a', canaryHeader: 'x y' }], 'managers[0].canaryHeader', 'name of a header'],
    ['no condition', [{ name: 'a', disaggregateWhen: 7 }], 'managers[0].disaggregateWhen', 'a map'],
    [
      'an unknown condition',
      [{ name: 'a', disaggregateWhen: { minTokens: 1 } }],
      'managers[0].disaggregateWhen.minTokens',
      'known: minPromptTokens',
    ],
    [
      'too small a condition',
      [{ name: 'a', disaggregateWhen: { minPromptBytes: 0 } }],
      'managers[0].disaggregateWhen.minPromptBytes',
      'at least 1',
    ],
    [
      'a header without a name',
      [{ name: 'a', disaggregateWhen: { header: { value: 'x' } } }],
      'managers[0].disaggregateWhen.header.name',
      'name of a header',
    ],
  ])('refuses %s, all of the change, and names manager and field', async (_what, changes, param, message) => {
    const app = await application();
    const change = app.control.change(changes as PolicyChange[], ops);
    await expect(change).rejects.toMatchObject({
      status: 400,
      code: 'invalid_policy',
      param,
      message: expect.stringContaining(message),
    });
    expect(app.control.current().version).toBe(0);
  });

  describe('with a manager that is not there', () => {
    it('takes policies for one that is expected, which are in force when it comes', async () => {
      const app = await application({ managers: [{ name: 'local', enabled: false }] });
      app.registry.expect(['plugged']);
      expect(await app.control.change([{ name: 'plugged', priority: -9 }], ops)).toMatchObject({ absent: ['plugged'] });
      app.registry.register(new Declines(), { name: 'plugged', priority: 5 });
      expect(own(app)[0]).toBe('plugged');
      expect(app.control.current().absent).toEqual([]);
    });

    it('keeps the policies of one that goes and comes back', async () => {
      const app = await application();
      app.registry.register(new Declines(), { name: 'plugged' });
      await app.control.change([{ name: 'plugged', enabled: false }], ops);
      app.registry.swap({ remove: ['plugged'], add: [] });
      expect(app.control.current().absent).toEqual(['plugged']);
      await app.control.change([{ name: 'plugged', priority: 3 }], ops);
      app.registry.swap({ remove: [], add: [{ manager: new Declines(), name: 'plugged' }] });
      expect(policyOf(app, 'plugged')).toMatchObject({ enabled: false, priority: 3 });
    });
  });

  it('makes changes one after the other, however many come at once', async () => {
    const app = await application();
    const priorities = Array.from({ length: 40 }, (_, index) => index + 10);
    const snapshots = await Promise.all(
      priorities.map((priority) => app.control.change([{ name: 'a', priority }], ops)),
    );
    expect(snapshots.map(({ version }) => version)).toEqual(priorities.map((_, index) => index + 1));
    expect(policyOf(app, 'a')).toMatchObject({ priority: 49 });
  });

  describe("with a state of somebody's own", () => {
    const stateOf = (state: Partial<PolicyState>): Provider[] => [
      { provide: PolicyState, useValue: Object.assign(new MemoryPolicyState(), state) },
    ];

    it('answers 503 when it cannot keep a change, and changes nothing', async () => {
      const app = await application({}, stateOf({ commit: () => Promise.reject(new Error('ENOSPC')) }));
      const change = app.control.change([{ name: 'a', priority: 9 }], ops);
      await expect(change).rejects.toMatchObject({ status: 503, code: 'policy_state_unavailable' });
      expect(policyOf(app, 'a')).toMatchObject({ priority: 1 });
    });

    it('does not start when it cannot read it', async () => {
      const start = application({}, stateOf({ versions: () => Promise.reject(new Error('EACCES: not yours')) }));
      await expect(start).rejects.toThrow('EACCES: not yours');
    });

    it('gives up when others are always first', async () => {
      const app = await application({}, stateOf({ commit: () => Promise.resolve(undefined) }));
      const change = app.control.change([{ name: 'a', priority: 9 }], ops);
      await expect(change).rejects.toMatchObject({ status: 503, code: 'policy_busy' });
    });

    it('does not say that nothing was changed when it does not know, and asks that nothing is', async () => {
      let signal: AbortSignal | undefined;
      const commit: PolicyState['commit'] = (_after, _make, left) => {
        signal = left;
        return firstValueFrom(NEVER);
      };
      const app = await application({}, stateOf({ commit }));
      jest.useFakeTimers();
      try {
        const error = app.control.change([{ name: 'a', priority: 9 }], ops).catch((thrown: unknown) => thrown);
        await jest.advanceTimersByTimeAsync(9_999);
        expect(signal?.aborted).toBe(false);
        await jest.advanceTimersByTimeAsync(1);
        expect(signal?.aborted).toBe(true);
        expect(await error).toMatchObject({ status: 503, message: expect.stringContaining('may have changed') });
      } finally {
        jest.useRealTimers();
      }
    });

    it('lets no more than 64 wait, and no one for longer than 10 s', async () => {
      const app = await application();
      jest.useFakeTimers();
      try {
        jest.spyOn(MemoryPolicyState.prototype, 'versions').mockReturnValue(firstValueFrom(NEVER));
        const [hung, ...waiting] = Array.from({ length: 64 }, () => app.control.history());
        for (const wait of waiting) wait.catch(() => undefined);
        const tooMany = expect(app.control.history()).rejects.toMatchObject({ code: 'policy_busy' });
        const timedOut = expect(hung).rejects.toMatchObject({ code: 'policy_state_unavailable' });
        await tooMany;
        await jest.advanceTimersByTimeAsync(10_000);
        await timedOut;
      } finally {
        jest.restoreAllMocks();
        jest.useRealTimers();
      }
    });
  });

  describe('with a file', () => {
    it('has the policies and the history again after a restart', async () => {
      const before = await application(shared());
      await before.control.change([{ name: 'a', priority: 8 }], ops);
      await before.control.change([{ name: 'c', enabled: true }], ops);
      const history = await before.control.history();
      await before.close();
      const after = await application(shared());
      expect(after.control.current()).toMatchObject({ version: 2 });
      expect(own(after)).toEqual(['b', 'c', 'a']);
      expect(await after.control.history()).toEqual(history);
      expect(await after.control.rollback(1, ops)).toMatchObject({ version: 3 });
      expect(own(after)).toEqual(['b', 'a']);
    });

    it('starts with the latest whole version when a file is damaged, and tells of it', async () => {
      const before = await application(shared());
      await before.control.change([{ name: 'a', priority: 8 }], ops);
      await before.close();
      await writeFile(join(directory, 'policy-2.json'), '{"format":');
      const after = await application(shared());
      expect(after.control.current().version).toBe(1);
      expect(after.faults).toHaveBeenCalledTimes(1);
      expect(await after.control.change([{ name: 'a', priority: 9 }], ops, 1)).toMatchObject({ version: 3 });
    });

    it('goes on when the directory vanishes, and loses no version', async () => {
      const [one, two] = [await application(shared()), await application(shared())];
      await one.control.change([{ name: 'a', priority: 8 }], ops);
      await reached(two, 1);
      await rm(directory, { recursive: true });
      expect(await one.control.history()).toHaveLength(1);
      expect(policyOf(one, 'a')).toMatchObject({ priority: 8 });
      expect(await one.control.change([{ name: 'b', priority: 9 }], ops, 1)).toMatchObject({ version: 2 });
      await reached(two, 2);
      expect(policyOf(two, 'a')).toMatchObject({ priority: 8 });
      expect(own(two)).toEqual(own(one));
      expect(await two.control.rollback(1, ops)).toMatchObject({ version: 3 });
    });

    it('shares its changes with other processes', async () => {
      const [one, two] = [await application(shared()), await application(shared())];
      const noticed = firstValueFrom(two.control.changes);
      await one.control.change([{ name: 'a', enabled: false }], ops);
      expect(await noticed).toMatchObject({ version: 1, who: 'ops', isOwn: false });
      expect(own(two)).toEqual(['b']);
    });

    it('commits each version once when two race for 200 of them, and both agree', async () => {
      const apps = [await application(shared()), await application(shared())];
      const counts = await Promise.all(
        apps.map(async ({ control }, process) => {
          let committed = 0;
          let lost = 0;
          while (control.current().version < 200) {
            const { version } = control.current();
            try {
              await control.change(
                [{ name: 'ab'[process] ?? '', priority: 1_000 + version }],
                { who: `${process}` },
                version,
              );
              committed += 1;
            } catch (error) {
              expect(error).toMatchObject({ code: 'policy_version_mismatch' });
              lost += 1;
            }
          }
          return { committed, lost };
        }),
      );
      const [one, two] = apps as [Application, Application];
      const [history, other] = [await one.control.history(), await two.control.history()];
      expect(history).toEqual(other);
      expect(history.map(({ version }) => version)).toEqual(
        Array.from({ length: 100 }, (_, index) => one.control.current().version - index),
      );
      // Each was made from the one before it.
      for (const { version, who, diff } of history) {
        expect(diff).toMatchObject([{ manager: 'ab'[Number(who)], field: 'priority', to: 999 + version }]);
      }
      // Each version has one author: together they made as many as there are.
      expect(counts.reduce((sum, { committed }) => sum + committed, 0)).toBe(one.control.current().version);
      expect(counts.every(({ committed }) => committed > 0)).toBe(true);
      expect(own(one)).toEqual(own(two));
      expect(policyOf(one, 'a')).toEqual(policyOf(two, 'a'));
      const names = await readdir(directory);
      expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
      expect(names.length).toBeLessThanOrEqual(101);
    });
  });

  describe('whatever is done', () => {
    type Step =
      | { readonly kind: 'change'; readonly changes: readonly PolicyChange[] }
      | { readonly kind: 'rollback'; readonly back: number }
      | { readonly kind: 'swap'; readonly remove: readonly string[]; readonly add: readonly string[] };
    const NAMES = ['a', 'b', 'c', 'x', 'y', 'z'];
    const nameArb = fc.constantFrom(...NAMES);
    const namesArb = fc.uniqueArray(nameArb, { maxLength: 3 });
    const changeArb: fc.Arbitrary<PolicyChange> = fc.record(
      {
        name: nameArb,
        enabled: fc.option(fc.boolean()),
        priority: fc.option(fc.integer({ min: -3, max: 3 })),
        canaryPercent: fc.option(fc.double({ min: 0, max: 100, noNaN: true })),
        canaryHeader: fc.option(fc.constantFrom('x-a', 'x-b')),
        shadow: fc.option(fc.boolean()),
        disaggregateWhen: fc.option(fc.record({ minPromptTokens: fc.integer({ min: 1, max: 9 }) })),
      },
      { requiredKeys: ['name'] },
    );
    const stepArb: fc.Arbitrary<Step> = fc.oneof(
      fc.record({
        kind: fc.constant('change' as const),
        changes: fc.uniqueArray(changeArb, { minLength: 1, maxLength: 3, selector: ({ name }) => name }),
      }),
      fc.record({ kind: fc.constant('rollback' as const), back: fc.nat(4) }),
      fc.record({ kind: fc.constant('swap' as const), remove: namesArb, add: namesArb }),
    );

    /** All that can be seen of a table, to be compared later. */
    const seen = ({ version, all, entries }: PolicyTable): string =>
      JSON.stringify({ version, all, entries: entries.map(({ name }) => name) });

    async function take(step: Step, { control, registry }: Application): Promise<void> {
      if (step.kind === 'change') await control.change(step.changes, ops);
      if (step.kind === 'rollback') await control.rollback(Math.max(0, control.current().version - step.back), ops);
      if (step.kind === 'swap') {
        const add = step.add.map((name) => ({ manager: new Declines(), name, priority: name.length, origin: 'p@1' }));
        registry.swap({ remove: step.remove, add });
      }
    }

    it('a snapshot never changes, is sorted, and has a version of its own', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(stepArb, { maxLength: 25 }), async (steps) => {
          const app = await application();
          const { registry, control } = app;
          const policies = new Map([[0, policiesOf(registry.table)]]);
          const snapshots = [{ table: registry.table, looked: seen(registry.table) }];
          for (const step of steps) {
            const before = registry.table;
            // What is refused (an unknown or taken name) changes nothing.
            const isRefused = await take(step, app).then(
              () => false,
              () => true,
            );
            const { table } = registry;
            if (isRefused) expect(table).toBe(before);
            if (table === before) continue;
            expect(table.version).not.toBe(before.version);
            expect(table.policyVersion - before.policyVersion).toBe(step.kind === 'swap' ? 0 : 1);
            expect(table.revision - before.revision).toBe(step.kind === 'swap' ? 1 : 0);
            expect(control.current()).toMatchObject({ version: table.policyVersion, id: table.version });
            const order = table.all.map(({ priority, name }) => [priority, name] as const);
            expect(order).toEqual([...order].sort((p, q) => p[0] - q[0] || (p[1] < q[1] ? -1 : 1)));
            expect(table.entries).toEqual(table.all.filter(({ enabled }) => enabled));
            expect(new Set(table.all.map(({ name }) => name)).size).toBe(table.all.length);
            expect([table, table.all, table.entries, ...table.all].every(Object.isFrozen)).toBe(true);
            snapshots.push({ table, looked: seen(table) });
            policies.set(table.policyVersion, policiesOf(table));
          }
          for (const { table, looked } of snapshots) expect(seen(table)).toBe(looked);
          expect(new Set(snapshots.map(({ table }) => table.version)).size).toBe(snapshots.length);
          // Back to the start: those managers that are still there are as they were.
          await control.rollback(0, ops);
          const [start, end] = [policies.get(0) ?? {}, policiesOf(registry.table)];
          const kept = IN_TREE_MANAGERS;
          expect(kept.map((name) => end[name])).toEqual(kept.map((name) => start[name]));
        }),
        { numRuns: 40 },
      );
    }, 60_000);

    const policiesOf = (table: PolicyTable): Record<string, ManagerPolicy> =>
      Object.fromEntries(
        table.all.map(({ name, enabled, priority, disaggregateWhen, canaryPercent, canaryHeader, shadow }) => [
          name,
          { enabled, priority, disaggregateWhen, canaryPercent, canaryHeader, shadow },
        ]),
      );
  });
});
