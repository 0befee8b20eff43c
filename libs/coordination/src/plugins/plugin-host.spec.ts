import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { inferenceRequest } from '@baton/inference';
import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { NEVER } from 'rxjs';
import { NamedEndpointPicker, parseEndpoint } from '@baton/remotes';
import { InFlight } from '../http/in-flight.js';
import { RequestManager } from '../managers/request-manager.decorator.js';
import { PolicyControl } from '../policy/policy-control.js';
import { EndpointPickers } from '../registry/endpoint-pickers.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import { Split } from '../split/split.js';
import { PLUGIN_OPTIONS } from './plugin-api.js';
import { PluginHost } from './plugin-host.js';
import { HostRig, managerNamed, moduleOf, type Exports } from './plugin-rig.spec-support.js';
import type { PluginEvent, PluginFault } from './plugin-state.js';

let rig: HostRig;
let alive: string[];

beforeEach(async () => {
  rig = await HostRig.create();
  alive = [];
});
afterEach(() => rig.close());

/** A plugin of one manager that writes down whether it is alive. */
function living(id: string, manager = 'm'): Exports {
  @RequestManager({ name: manager })
  class Living implements OnModuleInit, OnModuleDestroy {
    dispatch(): undefined {
      return undefined;
    }
    onModuleInit(): void {
      alive.push(id);
    }
    onModuleDestroy(): void {
      alive = alive.filter((other) => other !== id);
    }
  }
  return moduleOf([Living]);
}

const eventually = async (holds: () => boolean): Promise<void> => {
  for (let turn = 0; turn < 1_000 && !holds(); turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(holds()).toBe(true);
};

describe('what a plugin gets', () => {
  it('is the services of the host, without their hooks, and its options', async () => {
    const seen = jest.fn();
    @RequestManager({ name: 'm' })
    class Manager {
      constructor(@Inject(Split) split: Split, @Inject(PLUGIN_OPTIONS) options: unknown) {
        seen(split instanceof Split, split.retriesLeft > 0, options);
      }
      dispatch(): undefined {
        return undefined;
      }
    }
    const pluginOptions = { '~standard': { validate: (value: object) => ({ value: { ...value, checked: true } }) } };
    await rig.write('a', ['manager:m'], moduleOf([Manager], { pluginOptions }));
    await rig.host({ options: { a: { limit: 3 } } });
    expect(seen.mock.calls).toEqual([[true, true, { limit: 3, checked: true }]]);
  });

  it('can be a picker that the configuration selects', async () => {
    @NamedEndpointPicker({ name: 'p' })
    class Picker {
      pick(): typeof NEVER {
        return NEVER;
      }
    }
    await rig.write('a', ['picker:p'], moduleOf([Picker]));
    const module = await rig.application({}, { connector: 'embedded', picker: 'p' });
    expect(module.get(EndpointPickers).active).toBeInstanceOf(Picker);
    await expect(module.get(PluginHost).unload('a')).rejects.toMatchObject({ status: 409, code: 'plugin_in_use' });
    await rig.write('a', ['manager:m'], living('a'), '2');
    await expect(module.get(PluginHost).load('a')).rejects.toMatchObject({ code: 'plugin_in_use' });
    expect(module.get(EndpointPickers).active).toBeInstanceOf(Picker);
  });
});

describe('coming and going', () => {
  it('loads at the start, and closes the last first', async () => {
    const closed: string[] = [];
    for (const name of ['a', 'b']) {
      @RequestManager({ name })
      class Manager implements OnModuleDestroy {
        dispatch(): undefined {
          return undefined;
        }
        onModuleDestroy(): void {
          closed.push(name);
        }
      }
      await rig.write(name, [`manager:${name}`], moduleOf([Manager]));
    }
    const module = await rig.application();
    expect(module.get(ManagerRegistry).table.get('a')?.origin).toBe('a@1.0.1');
    await module.close();
    expect(closed).toEqual(['b', 'a']);
    expect(await rig.staged()).toEqual([]);
  });

  it('replaces at once, and closes the old one when the requests that began with it are over', async () => {
    await rig.write('a', ['manager:m'], living('old'));
    const module = await rig.application();
    const [host, inFlight, registry] = [module.get(PluginHost), module.get(InFlight), module.get(ManagerRegistry)];
    const end = inFlight.begin(inferenceRequest('chat', {}));
    await rig.write('a', ['manager:m', 'manager:n'], moduleOf([managerNamed('m'), managerNamed('n')]), '2');
    const { revision } = registry.table;
    await host.load('a');
    expect(registry.table.revision).toBe(revision + 1);
    expect(['m', 'n'].map((name) => registry.table.get(name)?.origin)).toEqual(['a@1.0.2', 'a@1.0.2']);
    await new Promise((resolve) => setTimeout(resolve, 20));
    // It cannot be one of the old one's any more, and is not waited for.
    inFlight.begin(inferenceRequest('chat', {}));
    expect(alive).toEqual(['old']);
    end('complete');
    await eventually(() => alive.length === 0);
  });

  it('closes the old one anyway when they take too long', async () => {
    await rig.write('a', ['manager:m'], living('old'));
    const module = await rig.application({ drainTimeoutMs: 10 });
    module.get(InFlight).begin(inferenceRequest('chat', {}));
    expect(await module.get(PluginHost).unload('a')).toMatchObject({ status: 'draining' });
    expect(module.get(ManagerRegistry).table.get('m')).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await eventually(() => alive.length === 0);
    expect(module.get(PluginHost).list()).toMatchObject([{ name: 'a', status: 'unloaded', loads: 1 }]);
  });

  it('keeps the old one when the new one cannot be loaded', async () => {
    await rig.write('a', ['manager:m'], living('old'));
    const module = await rig.application();
    const [host, registry] = [module.get(PluginHost), module.get(ManagerRegistry)];
    const { table } = registry;
    for (const [line, exports, code] of [
      ['2', () => Promise.reject(new Error('x')), 'plugin_import_failed'],
      ['3', moduleOf([managerNamed('n')]), 'plugin_provides_mismatch'],
      [
        '4',
        moduleOf([managerNamed('m'), { provide: 'x', useFactory: () => Promise.reject(new Error()) }]),
        'plugin_init_failed',
      ],
      ['5', () => ({ default: 42 }), 'plugin_no_module'],
    ] as const) {
      await rig.write('a', ['manager:m'], exports, line);
      await expect(host.load('a')).rejects.toMatchObject({ code, status: 422, plugin: 'a' });
      expect(host.list()).toMatchObject([{ status: 'loaded', version: '1.0.1' }]);
    }
    expect([registry.table, alive]).toEqual([table, ['old']]);
    expect(registry.table).toBe(table);
  });

  it('closes what comes too late', async () => {
    let arrive = (): void => undefined;
    const slow = { provide: 'slow', useFactory: () => new Promise<void>((resolve) => (arrive = resolve)) };
    class Watched implements OnModuleDestroy {
      onModuleDestroy(): void {
        alive.push('closed');
      }
    }
    await rig.write('a', ['manager:m'], moduleOf([managerNamed('m'), slow, Watched]));
    const host = await rig.host({ loadTimeoutMs: 20 });
    expect(host.list()).toMatchObject([{ status: 'refused', code: 'plugin_timeout' }]);
    arrive();
    await eventually(() => alive.includes('closed'));
  });

  it('imports one content once, however often it comes and goes', async () => {
    await rig.write('a', ['manager:m'], living('a'));
    const host = await rig.host();
    for (let cycle = 0; cycle < 5; cycle += 1) {
      await host.unload('a');
      await eventually(() => alive.length === 0);
      await host.load('a');
      expect(alive).toEqual(['a']);
    }
    expect([host.imports, rig.imported, host.list()[0]?.loads]).toEqual([1, 1, 6]);
    expect(await rig.staged()).toHaveLength(1);
  });
});

describe('a shutdown', () => {
  it('closes what is loaded however much waits, which is refused, and loads nothing after it', async () => {
    await rig.write('a', ['manager:m'], living('a'));
    const module = await rig.application();
    const host = module.get(PluginHost);
    const waiting = Array.from({ length: 64 }, () => host.load('a').catch((error: unknown) => error));
    await module.close();
    expect(alive).toEqual([]);
    const refused = { code: 'plugin_busy', reason: 'all plugins are being closed' };
    expect((await Promise.all(waiting)).slice(1)).toEqual(Array(63).fill(expect.objectContaining(refused)));
    await expect(host.scan()).rejects.toMatchObject(refused);
    expect(await rig.staged()).toEqual([]);
  });
});

describe('faults of a picker', () => {
  it('are picked for by the static one, and switch it off when they are too many', async () => {
    const pick = jest.fn((): typeof NEVER => {
      throw new Error('no pick');
    });
    @NamedEndpointPicker({ name: 'p' })
    class Picker {
      readonly pick = pick;
    }
    await rig.write('a', ['picker:p'], moduleOf([Picker]));
    const module = await rig.application({ maxFailures: 2 }, { connector: 'embedded', picker: 'p' });
    const endpoint = parseEndpoint({ url: 'http://a:1' });
    for (let time = 0; time < 5; time += 1) {
      const picked = jest.fn();
      const picking = module.get(EndpointPickers).active.pick(inferenceRequest('chat', {}), [endpoint]);
      picking.subscribe(picked).unsubscribe();
      expect(picked).toHaveBeenCalledWith(endpoint);
    }
    expect(pick).toHaveBeenCalledTimes(2);
    expect(module.get(PluginHost).list()).toMatchObject([{ status: 'switched_off', failures: 2 }]);
  });
});

describe('what cannot be made', () => {
  /** A provider that keeps something until it is closed. */
  const keeping = (open: string[], name: string, fail: 'constructor' | 'onModuleInit' | 'never') => {
    @Injectable()
    class Keeper implements OnModuleInit, OnModuleDestroy {
      constructor() {
        open.push(name);
        if (fail === 'constructor') throw new Error('not made');
      }
      onModuleInit(): void {
        if (fail === 'onModuleInit') throw new Error('not ready');
      }
      onModuleDestroy(): void {
        open.splice(open.indexOf(name), 1);
      }
    }
    return Keeper;
  };

  it.each(['constructor', 'onModuleInit'] as const)('is closed when another %s fails', async (fail) => {
    const open: string[] = [];
    const providers = [keeping(open, 'first', 'never'), keeping(open, 'second', fail), managerNamed('m')];
    await rig.write('a', ['manager:m'], moduleOf(providers));
    const host = await rig.host();
    expect(host.list()).toMatchObject([{ status: 'refused', code: 'plugin_init_failed' }]);
    // Of what has no instance nothing can be closed.
    expect(open).toEqual(fail === 'constructor' ? ['second'] : []);
  });

  it('is closed when it fails too late', async () => {
    const open: string[] = [];
    let fail = (): void => undefined;
    @RequestManager({ name: 'm' })
    class Slow implements OnModuleInit {
      onModuleInit(): Promise<void> {
        return new Promise((_resolve, reject) => (fail = () => reject(new Error('at last'))));
      }
      dispatch(): undefined {
        return undefined;
      }
    }
    await rig.write('a', ['manager:m'], moduleOf([keeping(open, 'first', 'never'), Slow]));
    const host = await rig.host({ loadTimeoutMs: 20 });
    expect(host.list()).toMatchObject([{ status: 'refused', code: 'plugin_timeout' }]);
    expect(open).toEqual(['first']);
    fail();
    await eventually(() => open.length === 0);
  });
});

describe('failures', () => {
  it('switch what it brings off when they are too many, until it is loaded again', async () => {
    await rig.write('a', ['manager:m'], living('a'));
    const module = await rig.application({ maxFailures: 2 });
    const [host, registry] = [module.get(PluginHost), module.get(ManagerRegistry)];
    const [events, faults]: [PluginEvent[], PluginFault[]] = [[], []];
    host.events.subscribe((event) => events.push(event));
    host.faults.subscribe((fault) => faults.push(fault));
    const fail = (): void => registry.table.get('m')?.containment?.onFault(new Error('no answer'));
    const isOff = (): boolean | undefined => registry.table.get('m')?.containment?.isOff;
    const failTwice = async (): Promise<void> => {
      fail();
      expect(host.list()).toMatchObject([{ status: 'loaded' }]);
      fail();
      await eventually(() => host.list()[0]?.status === 'switched_off');
      expect(isOff()).toBe(true);
    };

    await failTwice();
    expect(host.list()).toMatchObject([
      { failures: 2, reason: expect.stringContaining('no answer'), fix: expect.any(String) },
    ]);
    // What would outlive it, in this process or in others.
    expect(await module.get(PolicyControl).history()).toEqual([]);
    await host.load('a');
    expect(host.list()).toMatchObject([{ status: 'loaded', failures: 0 }]);
    expect(isOff()).toBe(false);

    await failTwice();
    await host.unload('a');
    await eventually(() => host.list()[0]?.status === 'unloaded');
    await host.load('a');
    expect([host.list()[0]?.status, isOff()]).toEqual(['loaded', false]);
    const actions = ['loaded', 'switched_off', 'replaced', 'switched_off', 'draining', 'unloaded', 'loaded'];
    expect(events.map(({ action }) => action)).toEqual(actions);
    expect(faults).toHaveLength(4);
    expect(faults[0]).toMatchObject({
      plugin: 'a',
      version: '1.0.1',
      code: 'plugin_failed',
      cause: new Error('no answer'),
    });
  });
});
