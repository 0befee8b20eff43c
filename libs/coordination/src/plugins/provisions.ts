import { DialectMetadata, EndpointPickerMetadata, type Dialect, type EndpointPicker } from '@baton/remotes';
import type { DiscoveryService, Reflector } from '@nestjs/core';
import { KvConnectorMetadata, type KvConnector } from '../connectors/kv-connector.js';
import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { RequestManagerMetadata, type RequestManagerOptions } from '../managers/request-manager.decorator.js';
import { discover } from '../registry/discover.js';
import type { Provision } from '../registry/provision-registry.js';
import type { ProvisionKind } from './plugin-api.js';
import { PluginError } from './plugin-error.js';
import { saidBy, spoken, within } from './within.js';

/** What a plugin brings, by kind. */
export interface Provisions {
  readonly managers: readonly (RequestManagerOptions & { readonly manager: DisaggregatedRequestManager })[];
  readonly connectors: readonly Provision<KvConnector>[];
  readonly pickers: readonly Provision<EndpointPicker>[];
  readonly dialects: readonly Provision<Dialect>[];
}

/** What something of a kind has to have, so that it is found out before a request needs it. */
const METHODS: Readonly<Record<ProvisionKind, readonly string[]>> = {
  manager: ['dispatch'],
  connector: ['prefillLeg', 'handoffOf', 'decodeLeg', 'release'],
  picker: ['pick'],
  dialect: ['call', 'abort'],
};

/** @throws PluginError 422 `plugin_invalid_provider` */
export function discoverProvisions(plugin: string, discovery: DiscoveryService, reflector: Reflector): Provisions {
  const found = <Instance extends object, Options extends { readonly name: string }>(
    kind: ProvisionKind,
    decorator: Parameters<typeof discover<Instance, Options>>[2],
  ): readonly { readonly instance: Instance; readonly options: Options }[] => {
    try {
      const all = discover<Instance, Options>(discovery, reflector, decorator);
      // A module that two others import is one, but an alias of a provider is found again.
      const unique = all.filter(
        ({ instance }, index) => all.findIndex((other) => other.instance === instance) === index,
      );
      for (const { instance, className, options } of unique) assertShape(plugin, kind, className, instance, options);
      return unique;
    } catch (error) {
      if (error instanceof PluginError) throw error;
      throw invalidProvider(plugin, saidBy(error), 'Make it a singleton.', error);
    }
  };
  const named = <Instance extends object>(
    kind: ProvisionKind,
    decorator: Parameters<typeof discover<Instance, { name: string }>>[2],
  ): readonly Provision<Instance>[] =>
    found<Instance, { name: string }>(kind, decorator).map(({ instance, options }) => ({
      name: options.name,
      instance,
    }));

  return {
    managers: found<DisaggregatedRequestManager, RequestManagerOptions>('manager', RequestManagerMetadata).map(
      ({ instance, options }) => ({ ...options, manager: instance }),
    ),
    connectors: named<KvConnector>('connector', KvConnectorMetadata),
    pickers: named<EndpointPicker>('picker', EndpointPickerMetadata),
    dialects: named<Dialect>('dialect', DialectMetadata),
  };
}

/** As in `baton.provides`, sorted. */
export function provisionTexts({ managers, connectors, pickers, dialects }: Provisions): readonly string[] {
  const texts = (kind: ProvisionKind, all: readonly { readonly name: string }[]): readonly string[] =>
    all.map(({ name }) => `${kind}:${name}`);
  return [
    ...texts('manager', managers),
    ...texts('connector', connectors),
    ...texts('picker', pickers),
    ...texts('dialect', dialects),
  ].sort();
}

/** @throws PluginError 422 `plugin_provides_mismatch` when the plugin brings something else than it says. */
export function assertProvides(plugin: string, said: readonly string[], provisions: Provisions): void {
  const brought = provisionTexts(provisions);
  const twice = brought.find((text, index) => brought.indexOf(text) !== index);
  const missing = said.filter((text) => !brought.includes(text));
  const unsaid = brought.filter((text) => !said.includes(text));
  const reasons = [
    ...(missing.length > 0 ? [`says that it brings ${missing.join(', ')}, but has no such provider`] : []),
    ...(unsaid.length > 0 ? [`brings ${unsaid.join(', ')} without saying so in "baton.provides"`] : []),
    ...(twice === undefined ? [] : [`brings ${twice} twice`]),
  ];
  if (reasons.length === 0) return;
  throw new PluginError({
    plugin,
    code: 'plugin_provides_mismatch',
    reason: `it ${reasons.join(', and ')}`,
    fix: 'Make "baton.provides" in its package.json and the decorators of its providers say the same.',
  });
}

/** Lets everything that can look whether it works do so. @throws PluginError 422 `plugin_probe_failed`, `plugin_timeout` */
export async function probe(plugin: string, provisions: Provisions, timeoutMs: number): Promise<void> {
  const { managers, connectors, pickers, dialects } = provisions;
  const all = [
    ...managers.map(({ manager }) => manager),
    ...[...connectors, ...pickers, ...dialects].map((one) => one.instance),
  ];
  const late = (): PluginError =>
    new PluginError({
      plugin,
      code: 'plugin_timeout',
      reason: `its probe did not end within ${spoken(timeoutMs)}`,
      fix: 'Let probe() find out sooner whether it works.',
    });
  for (const instance of all) {
    const method: unknown = Reflect.get(instance, 'probe');
    if (typeof method !== 'function') continue;
    const probed = Promise.resolve()
      .then(() => Reflect.apply(method, instance, []) as unknown)
      .catch((error: unknown) => {
        throw new PluginError({
          plugin,
          code: 'plugin_probe_failed',
          reason: `its probe failed (${saidBy(error)})`,
          fix: 'See to what it needs, and load it again.',
          cause: error,
        });
      });
    await within(probed, timeoutMs, late);
  }
}

function assertShape(
  plugin: string,
  kind: ProvisionKind,
  className: string,
  instance: unknown,
  options: unknown,
): void {
  const refuse = (reason: string, fix: string): PluginError => invalidProvider(plugin, `${className} ${reason}`, fix);
  const name: unknown = typeof options === 'object' && options !== null ? Reflect.get(options, 'name') : undefined;
  if (typeof name !== 'string') throw refuse(`is decorated as a ${kind} without a name`, 'Name it in its decorator.');
  if (typeof instance !== 'object' || instance === null) throw refuse(`is no ${kind}`, 'Provide an instance of it.');
  const missing = METHODS[kind].find((method) => typeof Reflect.get(instance, method) !== 'function');
  if (missing !== undefined) throw refuse(`is decorated as a ${kind} but has no method ${missing}`, 'Implement it.');
  if (kind === 'connector' && typeof Reflect.get(instance, 'contract') !== 'object') {
    throw refuse('is decorated as a connector but has no contract', 'Implement KvConnector.');
  }
  if (kind === 'dialect' && Reflect.get(instance, 'name') !== name) {
    throw refuse(`is decorated as the dialect "${name}", which is not its own name`, 'Use one name in both.');
  }
}

function invalidProvider(plugin: string, reason: string, fix: string, cause?: unknown): PluginError {
  return new PluginError({ plugin, code: 'plugin_invalid_provider', reason, fix, cause });
}
