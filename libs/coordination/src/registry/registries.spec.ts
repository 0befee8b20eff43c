import { NamedEndpointPicker, type Endpoint, type EndpointPicker } from '@baton/remotes';
import { describe, expect, it } from '@jest/globals';
import { Injectable, Scope, type Provider } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { NEVER, type Observable } from 'rxjs';
import { EmbeddedKvConnector } from '../connectors/embedded.connector.js';
import { NamedKvConnector } from '../connectors/kv-connector.js';
import { CoordinationModule } from '../coordination.module.js';
import type { CoordinationOptions } from '../coordination.options.js';
import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { RequestManager, RequestManagerMetadata } from '../managers/request-manager.decorator.js';
import { DuplicateNameError } from './duplicate-name.error.js';
import { EndpointPickers } from './endpoint-pickers.js';
import { KvConnectors } from './kv-connectors.js';
import { ManagerRegistry } from './manager-registry.js';
import { NamedRegistry } from './named-registry.js';

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

describe('ManagerRegistry', () => {
  it('discovers decorated providers, of any module, in ascending order of priority', async () => {
    const module = await application([LateManager, UnrankedManager, EarlyManager]);
    expect(managerNames(module)).toEqual(['early', 'unranked', 'prefill-local-decode-remote', 'late']);
  });

  it('takes managers that a function registers, in the same order', async () => {
    const module = await application([LateManager]);
    const registry = module.get(ManagerRegistry);
    const before = registry.table;
    registry.register(new Declines(), { name: 'by-function', priority: 1 });
    registry.register(new Declines(), { name: 'another' });
    expect(managerNames(module)).toEqual(['another', 'by-function', 'prefill-local-decode-remote', 'late']);
    expect(before.entries).toHaveLength(2);
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
});

@NamedKvConnector({ name: 'other' })
class OtherConnector extends EmbeddedKvConnector {}
@NamedKvConnector({ name: 'embedded' })
class ImpostorConnector extends EmbeddedKvConnector {}

@NamedEndpointPicker({ name: 'never' })
class NeverPicker implements EndpointPicker {
  pick(): Observable<Endpoint> {
    return NEVER;
  }
}

describe('KvConnectors', () => {
  it('gives the configured connector', async () => {
    const module = await application([OtherConnector], { connector: 'other' });
    expect(module.get(KvConnectors).active).toBeInstanceOf(OtherConnector);
  });

  it('does not let an application start with an unknown name, and lists the known ones', async () => {
    await expect(application([OtherConnector], { connector: 'nixl' })).rejects.toThrow(
      'There is no KV connector named "nixl". Known: embedded, other.',
    );
  });

  it('refuses two connectors of one name, and names both classes', async () => {
    await expect(application([ImpostorConnector])).rejects.toThrow(/"embedded": .*EmbeddedKvConnector.*/);
    await expect(application([ImpostorConnector])).rejects.toThrow(/ImpostorConnector/);
  });

  it('needs none when coordination is off', async () => {
    const module = await application([]);
    expect(() => module.get(KvConnectors).active).toThrow('There is no KV connector');
  });
});

describe('EndpointPickers', () => {
  const connector = 'embedded';

  it('gives the static picker by default, and the configured one otherwise', async () => {
    const byDefault = await application([NeverPicker], { connector });
    expect(byDefault.get(EndpointPickers).active).not.toBeInstanceOf(NeverPicker);
    const configured = await application([NeverPicker], { connector, picker: 'never' });
    expect(configured.get(EndpointPickers).active).toBeInstanceOf(NeverPicker);
  });

  it('does not let an application start with an unknown name', async () => {
    await expect(application([NeverPicker], { connector, picker: 'kv-aware' })).rejects.toThrow(
      'There is no endpoint picker named "kv-aware". Known: never, static.',
    );
  });
});

describe('CoordinationModule', () => {
  it('refuses a bad endpoint at boot, naming it', async () => {
    await expect(application([], { decode: { endpoints: ['10.0.0.7:8200'] } })).rejects.toThrow('"10.0.0.7:8200"');
  });

  it('takes asynchronous options, and closes its client twice without harm', async () => {
    const module = await Test.createTestingModule({
      imports: [CoordinationModule.forRootAsync({ useFactory: async () => ({ connector: 'embedded' }) })],
    }).compile();
    await module.init();
    expect(module.get(KvConnectors).active).toBeInstanceOf(EmbeddedKvConnector);
    await module.close();
    await module.get(CoordinationModule).onApplicationShutdown();
  });
});

describe('NamedRegistry', () => {
  it('knows nothing at first', () => {
    expect(() => new NamedRegistry<object>('thing').get('x')).toThrow('There is no thing named "x". Known: none.');
  });

  it('takes one instance twice', () => {
    const registry = new NamedRegistry<object>('thing');
    const instance = {};
    registry.add('x', instance);
    registry.add('x', instance);
    expect(registry.get('x')).toBe(instance);
  });
});
