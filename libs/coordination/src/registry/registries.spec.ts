import {
  dialectOf,
  hasDialect,
  NamedDialect,
  NamedEndpointPicker,
  type Dialect,
  type Endpoint,
  type EndpointPicker,
} from '@baton/remotes';
import { describe, expect, it } from '@jest/globals';
import type { Provider } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { NEVER, type Observable } from 'rxjs';
import { EmbeddedKvConnector } from '../connectors/embedded.connector.js';
import { NamedKvConnector } from '../connectors/kv-connector.js';
import { CoordinationModule } from '../coordination.module.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { EndpointPickers } from './endpoint-pickers.js';
import { EngineDialects } from './engine-dialects.js';
import { KvConnectors } from './kv-connectors.js';
import { NamedRegistry } from './named-registry.js';

/** The application that a team composes; closed by Nest's own garbage, since nothing listens. */
async function application(providers: Provider[], options: CoordinationOptions = {}): Promise<TestingModule> {
  const module = await Test.createTestingModule({
    imports: [CoordinationModule.forRoot(options)],
    providers,
  }).compile();
  return module.init();
}

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
    await expect(application([OtherConnector], { connector: 'unheard-of' })).rejects.toThrow(
      /There is no KV connector named "unheard-of"\. Known: (.*, )?embedded, (.*, )?other/,
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

  it('swaps in one step, or not at all', () => {
    const registry = new NamedRegistry<object>('thing');
    const [a, b, other] = [{ is: 'a' }, { is: 'b' }, { is: 'other' }];
    registry.swap(
      [],
      [
        ['a', a],
        ['b', b],
      ],
    );
    const clash = [
      ['c', other],
      ['b', other],
    ] as const;
    expect(() => registry.assertSwap(['a'], clash)).toThrow('Two things are named "b"');
    expect(() => registry.swap(['a'], clash)).toThrow('Two things are named "b"');
    expect(registry.names).toEqual(['a', 'b']);
    registry.swap(['b', 'nothing'], [['b', other]]);
    expect([registry.get('a'), registry.get('b')]).toEqual([a, other]);
  });
});

describe('EngineDialects', () => {
  @NamedDialect({ name: 'of-the-application' })
  class OwnDialect implements Dialect {
    readonly name = 'of-the-application';
    readonly healthPath = '/health';
    readonly renders = false;
    call(): { path: string; body: Record<string, never> } {
      return { path: '/', body: {} };
    }
    abort(): undefined {
      return undefined;
    }
  }
  const decode = { endpoints: [{ url: 'http://a:1', dialect: 'of-the-application' }] };

  it('adds those of the application, until it shuts down', async () => {
    const module = await application([OwnDialect], { decode });
    expect(dialectOf('of-the-application')).toBeInstanceOf(OwnDialect);
    expect(module.get(EngineDialects).used).toEqual(['of-the-application']);
    await module.close();
    expect(hasDialect('of-the-application')).toBe(false);
  });

  it('does not let an application start whose endpoint speaks what nobody does', async () => {
    await expect(application([], { decode })).rejects.toThrow(
      'An endpoint speaks "of-the-application", which is none of',
    );
  });

  it('does not take the name of one of Baton', async () => {
    const dialects = (await application([])).get(EngineDialects);
    const swap = { remove: [], add: [{ name: 'vllm', instance: new OwnDialect() }] };
    expect(() => dialects.swap(swap)).toThrow('Two dialects are named "vllm"');
  });
});
