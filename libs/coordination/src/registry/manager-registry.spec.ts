import { describe, expect, it } from '@jest/globals';
import { Injectable, Scope, type OnModuleInit, type Provider } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { CoordinationModule } from '../coordination.module.js';
import type { CoordinationOptions } from '../coordination.options.js';
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
    expect(registry.table.version).toBe(before.version + 2);
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
      expect(entries.find(({ name }) => name === 'early')?.condition).toBe(disaggregateWhen);
      expect(entries.find(({ name }) => name === 'late')?.condition).toBeUndefined();
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
