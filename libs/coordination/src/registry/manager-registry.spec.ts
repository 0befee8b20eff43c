import { describe, expect, it } from '@jest/globals';
import { Injectable, Scope, type OnModuleInit, type Provider } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { CoordinationModule } from '../coordination.module.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { DispatchCounters } from '../dispatch/dispatch-counters.js';
import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { RequestManager, RequestManagerMetadata } from '../managers/request-manager.decorator.js';
import { DuplicateNameError } from './duplicate-name.error.js';
import { ManagerRegistry } from './manager-registry.js';

class Declines implements DisaggregatedRequestManager {
  dispatch(): undefined {
    return undefined;
  }
}

@RequestManager({ name: 'early', priority: -5 })
class EarlyManager extends Declines {}
@RequestManager({ name: 'unranked' })
class UnrankedManager extends Declines {}
@RequestManager({ name: 'late', priority: 50 })
class LateManager extends Declines {}
@RequestManager({ name: 'early', priority: 7 })
class ImpostorManager extends Declines {}

/** The application that a team composes; closed by Nest's own garbage, since nothing listens. */
async function application(providers: Provider[], options: CoordinationOptions = {}): Promise<TestingModule> {
  const module = await Test.createTestingModule({
    imports: [CoordinationModule.forRoot(options)],
    providers,
  }).compile();
  return module.init();
}

const managerNames = (module: TestingModule): string[] =>
  module.get(ManagerRegistry).table.entries.map(({ name }) => name);

/** Without the managers that the module brings along. */
async function ownNames(module: TestingModule): Promise<string[]> {
  const inTree = managerNames(await application([]));
  return managerNames(module).filter((name) => !inTree.includes(name));
}

describe('ManagerRegistry', () => {
  it('discovers decorated providers, of any module, in ascending order of priority', async () => {
    const module = await application([LateManager, UnrankedManager, EarlyManager]);
    expect(await ownNames(module)).toEqual(['early', 'unranked', 'late']);
  });

  it('takes managers that a function registers, in the same order', async () => {
    const module = await application([LateManager]);
    const registry = module.get(ManagerRegistry);
    const before = registry.table;
    registry.register(new Declines(), { name: 'by-function', priority: 1 });
    registry.register(new Declines(), { name: 'another' });
    expect(await ownNames(module)).toEqual(['another', 'by-function', 'late']);
    expect(before.entries.map(({ name }) => name)).not.toContain('another');
    expect(registry.table.version).toBe(`0.${before.revision + 2}`);
  });

  it('takes what a factory made of a decorated class', async () => {
    const module = await application([{ provide: 'manager', useFactory: () => new EarlyManager() }]);
    expect(managerNames(module)).toContain('early');
  });

  it('counts an alias of a manager once', async () => {
    const module = await application([EarlyManager, { provide: 'alias', useExisting: EarlyManager }]);
    expect(managerNames(module).filter((name) => name === 'early')).toHaveLength(1);
  });

  it('refuses two decorated managers of one name at boot, and names both classes', async () => {
    const boot = application([EarlyManager, ImpostorManager]);
    await expect(boot).rejects.toThrow(DuplicateNameError);
    await expect(boot).rejects.toThrow(/"early": (EarlyManager and ImpostorManager|ImpostorManager and EarlyManager)/);
  });

  it('refuses a function registration under a name that is taken, and keeps its table', async () => {
    const module = await application([EarlyManager]);
    const registry = module.get(ManagerRegistry);
    const before = registry.table;
    expect(() => registry.register(new ImpostorManager(), { name: 'early' })).toThrow(
      'EarlyManager and ImpostorManager',
    );
    expect(registry.table).toBe(before);
  });

  it('refuses a request-scoped manager by its name', async () => {
    @RequestManagerMetadata({ name: 'scoped' })
    @Injectable({ scope: Scope.REQUEST })
    class ScopedManager extends Declines {}
    await expect(application([ScopedManager])).rejects.toThrow('ScopedManager is request-scoped');
  });

  it('refuses a manager that depends on a request-scoped provider', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Session {}
    @RequestManager({ name: 'indirect' })
    class IndirectManager extends Declines {
      constructor(readonly session: Session) {
        super();
      }
    }
    await expect(application([Session, IndirectManager])).rejects.toThrow(
      'IndirectManager is request-scoped (or depends',
    );
  });

  it('refuses a transient manager: it has no instance of its own', async () => {
    @RequestManagerMetadata({ name: 'transient' })
    @Injectable({ scope: Scope.TRANSIENT })
    class TransientManager extends Declines {}
    await expect(application([TransientManager])).rejects.toThrow('TransientManager is transient');
  });

  it('has discovered before it is asked to a second time: in-tree names come first', async () => {
    @Injectable()
    class Host implements OnModuleInit {
      constructor(private readonly registry: ManagerRegistry) {}
      onModuleInit(): void {
        this.registry.discover();
        this.registry.swap({ remove: [], add: [{ manager: new Declines(), name: 'early', origin: 'acme@1.0.0' }] });
      }
    }
    // The fault is that of who came second, whatever the order of the providers.
    await expect(application([Host, EarlyManager])).rejects.toThrow('"early": EarlyManager and Declines');
  });

  describe('swaps', () => {
    const origin = 'acme@1.0.0';
    const containment = { firstPartTimeoutMs: 5, isOff: false, onFault: () => undefined };

    it('managers as one snapshot; a table that somebody holds stays as it is', async () => {
      const module = await application([LateManager]);
      const registry = module.get(ManagerRegistry);
      const [old, next] = [new Declines(), new Declines()];
      registry.swap({ remove: [], add: [{ manager: old, name: 'acme', origin, containment }] });
      const before = registry.table;
      const after = registry.swap({
        remove: ['acme', 'not-there'],
        add: [
          { manager: next, name: 'acme', priority: 3, origin: 'acme@1.1.0', containment },
          { manager: new Declines(), name: 'switched-off', enabled: false, origin },
        ],
      });
      expect(registry.table).toBe(after);
      expect(after.revision).toBe(before.revision + 1);
      expect(before.get('acme')).toMatchObject({ manager: old, priority: 0, origin, containment });
      expect(after.get('acme')).toMatchObject({ manager: next, priority: 3, origin: 'acme@1.1.0' });
      expect(await ownNames(module)).toEqual(['acme', 'late']);
      expect(after.get('switched-off')).toMatchObject({ enabled: false });
    });

    it.each([
      ['in the application', ['late']],
      ['among those that come', ['fresh', 'fresh']],
      ['that comes and one that stays', ['fresh', 'late']],
    ])('nothing when a name is taken %s', async (_where, names) => {
      const registry = (await application([LateManager])).get(ManagerRegistry);
      registry.swap({ remove: [], add: [{ manager: new Declines(), name: 'acme', priority: 7 }] });
      const before = registry.table;
      const add = names.map((name) => ({ manager: new Declines(), name, origin }));
      expect(() => registry.swap({ remove: ['acme'], add })).toThrow(DuplicateNameError);
      expect(registry.table).toBe(before);
      expect(registry.policyOf('acme').priority).toBe(7);
    });

    it('managers under their settings, and drops the counters of those that go', async () => {
      const module = await application([], { managers: [{ name: 'local', priority: 9 }] });
      const [registry, counters] = [module.get(ManagerRegistry), module.get(DispatchCounters)];
      counters.count('local', 'took');
      registry.swap({ remove: ['local'], add: [{ manager: new Declines(), name: 'local' }] });
      expect(registry.table.get('local')?.priority).toBe(9);
      expect(counters.of('local').took).toBe(1);
      registry.swap({ remove: ['local'], add: [] });
      expect(counters.of('local').took).toBe(0);
    });
  });

  describe('with settings', () => {
    const all = [LateManager, UnrankedManager, EarlyManager];

    it('overrides priorities; who is not named keeps its own', async () => {
      const module = await application(all, { managers: [{ name: 'late', priority: -7 }, { name: 'early' }] });
      expect(await ownNames(module)).toEqual(['late', 'early', 'unranked']);
      expect(module.get(ManagerRegistry).table.entries.find(({ name }) => name === 'early')?.priority).toBe(-5);
    });

    it('leaves out what is switched off, whose name stays taken', async () => {
      const module = await application(all, { managers: [{ name: 'early', enabled: false }] });
      expect(await ownNames(module)).toEqual(['unranked', 'late']);
      const add = (): void => module.get(ManagerRegistry).register(new Declines(), { name: 'early' });
      expect(add).toThrow('Two managers are named "early": EarlyManager and Declines.');
    });

    it('puts the condition into the table', async () => {
      const disaggregateWhen = { minPromptTokens: 512, apis: ['chat'] } as const;
      const module = await application(all, { managers: [{ name: 'early', enabled: true, disaggregateWhen }] });
      const { entries } = module.get(ManagerRegistry).table;
      expect(entries.find(({ name }) => name === 'early')?.disaggregateWhen).toEqual(disaggregateWhen);
      expect(entries.find(({ name }) => name === 'late')?.disaggregateWhen).toBeUndefined();
    });

    it('does not let an application start that names an unknown manager, and lists the known ones', async () => {
      const managers = [
        { name: 'late', enabled: false },
        { name: 'latest', priority: 1 },
      ];
      await expect(application(all, { managers })).rejects.toThrow(
        /There is no manager named "latest"\. Known: (.*, )?early, (.*, )?late, (.*, )?unranked/,
      );
    });

    it('lets an application start that names a manager which a plugin would have brought', async () => {
      @Injectable()
      class Host implements OnModuleInit {
        constructor(private readonly registry: ManagerRegistry) {}
        onModuleInit(): void {
          this.registry.expect(['plugged']);
        }
      }
      const module = await application([...all, Host], { managers: [{ name: 'plugged', enabled: false }] });
      module.get(ManagerRegistry).register(new Declines(), { name: 'plugged' });
      expect(await ownNames(module)).not.toContain('plugged');
    });

    it('knows shares and shadows', async () => {
      const settings = { name: 'late', canaryPercent: 12.5, canaryHeader: 'x-tenant', shadow: true };
      const module = await application(all, { managers: [settings] });
      expect(module.get(ManagerRegistry).table.get('late')).toMatchObject(settings);
    });

    it.each<[object, string]>([
      [{ canaryPercent: 101 }, 'managers[0].canaryPercent of the manager "late" must be a number from 0 to 100'],
      [{ canaryHeader: 'x y' }, 'managers[0].canaryHeader of the manager "late" must be the name of a header'],
      [{ shadow: 'yes' }, 'managers[0].shadow of the manager "late" must be true or false'],
      [{ priority: null }, 'managers[0].priority of the manager "late" must be a whole number'],
      [{ disaggregateWhen: { apis: ['x'] } }, 'managers[0].disaggregateWhen.apis of the manager "late" must be a list'],
      [{ prio: 1 }, 'managers[0].prio of the manager "late" is not known here'],
    ])('does not let an application start with %j', async (setting, message) => {
      await expect(application(all, { managers: [{ name: 'late', ...setting }] })).rejects.toThrow(message);
    });

    it('does not let an application start that names one twice', async () => {
      const managers = [{ name: 'late', enabled: false }, { name: 'early' }, { name: 'late', priority: 1 }];
      await expect(application(all, { managers })).rejects.toThrow('two settings for the manager "late"');
    });

    it('is for managers of functions too, when they come before the bootstrap', async () => {
      @Injectable()
      class Registers implements OnModuleInit {
        constructor(private readonly registry: ManagerRegistry) {}
        onModuleInit(): void {
          this.registry.register(new Declines(), { name: 'by-function' });
        }
      }
      const module = await application([...all, Registers], { managers: [{ name: 'by-function', priority: 99 }] });
      expect(await ownNames(module)).toEqual(['early', 'unranked', 'late', 'by-function']);
    });
  });
});
