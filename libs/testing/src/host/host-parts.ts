import type { CoordinationOptions, KvConnectors } from '@baton/coordination';
import type { EndpointOptions } from '@baton/remotes';
import type { ModuleRef } from '@nestjs/core';
import { FakeConnector } from '../doubles/fake-connector.js';
import type { FakeEngines } from '../doubles/fake-engines.js';
import { fakeEndpoints } from '../doubles/fake-remotes.js';
import type { TestHostOptions } from './test-host-options.js';

/** The connector of a host when nobody chose another. */
const FAKE_CONNECTOR = 'test-double';

/** Registers the connector that a host begins with. */
export class FirstConnector {
  constructor(
    private readonly connectors: KvConnectors,
    /** Of the module that has everything a subject may inject. */
    readonly moduleRef: ModuleRef,
    private readonly engines: FakeEngines,
  ) {}

  onModuleInit(): void {
    const instance = new FakeConnector(undefined, (id) => this.engines.free(id));
    this.connectors.swap({ remove: [], add: [{ name: FAKE_CONNECTOR, instance }] });
  }
}

/** The options of the application. */
export function coordinationOptions(options: TestHostOptions): CoordinationOptions {
  const { coordination = {}, isLocalAvailable = true } = options;
  return {
    ...coordination,
    connector: FAKE_CONNECTOR,
    prefill: { endpoints: endpointsOf(options, 'prefill') },
    decode: { endpoints: endpointsOf(options, 'decode') },
    local: { ...coordination.local, isAvailable: isLocalAvailable },
  };
}

/** The instances of a pool. */
export const endpointsOf = (options: TestHostOptions, role: 'prefill' | 'decode'): readonly EndpointOptions[] =>
  options[role] ?? fakeEndpoints(role, 2);
