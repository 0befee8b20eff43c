import type { EndpointPicker } from '@baton/remotes';
import { Injectable } from '@nestjs/common';
import { CONNECTOR_CALLS, containedCalls, DIALECT_CALLS } from '../dispatch/contained-calls.js';
import { containedPicker } from '../dispatch/contained-picker.js';
import type { Containment } from '../dispatch/containment.js';
import { DuplicateNameError } from '../registry/duplicate-name.error.js';
import { EndpointPickers } from '../registry/endpoint-pickers.js';
import { EngineDialects } from '../registry/engine-dialects.js';
import { KvConnectors } from '../registry/kv-connectors.js';
import { ManagerRegistry } from '../registry/manager-registry.js';
import type { Provision } from '../registry/provision-registry.js';
import { provisionOf, type PluginManifest } from './manifest.js';
import type { ProvisionKind } from './plugin-api.js';
import { PluginError } from './plugin-error.js';
import type { Provisions } from './provisions.js';

/** What comes, and of whom. */
export interface Incoming {
  readonly manifest: PluginManifest;
  readonly provisions: Provisions;
  readonly containment: Containment;
}

const NOTHING: Provisions = { managers: [], connectors: [], pickers: [], dialects: [] };

/** All that plugins bring, in the registries of the host. */
@Injectable()
export class ProvisionSwap {
  constructor(
    private readonly managers: ManagerRegistry,
    private readonly connectors: KvConnectors,
    private readonly pickers: EndpointPickers,
    private readonly dialects: EngineDialects,
  ) {}

  /** Registers what the application has itself, so that its names are taken before a plugin comes. */
  discover(): void {
    for (const registry of [this.managers, this.connectors, this.pickers, this.dialects]) registry.discover();
  }

  /** Managers of a plugin that could not be loaded: policies for them are no error. */
  expect(provides: readonly string[]): void {
    this.managers.expect(namesOf('manager', provides));
  }

  /**
   * What a plugin says it brings, before any of its code runs.
   *
   * @param present what it brings now.
   * @throws PluginError 422 `plugin_duplicate_name`, 409 `plugin_in_use`
   */
  assertFree(plugin: string, provides: readonly string[], present: readonly string[]): void {
    const taken = this.#names();
    for (const text of provides) {
      const provision = provisionOf(text);
      if (provision === undefined || present.includes(text)) continue;
      if (taken[provision.kind].includes(provision.name)) {
        throw duplicate(plugin, `there is a ${provision.kind} named "${provision.name}" already`);
      }
    }
    this.assertUnused(
      plugin,
      present.filter((text) => !provides.includes(text)),
    );
  }

  /** @throws PluginError 409 `plugin_in_use` when the configuration selects something of `texts`. */
  assertUnused(plugin: string, texts: readonly string[]): void {
    const used = [
      ...this.connectors.used.map((name) => `connector:${name}`),
      ...this.pickers.used.map((name) => `picker:${name}`),
      ...this.dialects.used.map((name) => `dialect:${name}`),
    ];
    const needed = texts.find((text) => used.includes(text));
    if (needed === undefined) return;
    throw new PluginError({
      plugin,
      code: 'plugin_in_use',
      reason: `the configuration selects ${needed}, which it brings`,
      fix: 'Replace it by a version that brings that as well, or select another one and restart.',
    });
  }

  /**
   * Puts what comes in the place of what goes, in all registries, between two requests.
   *
   * @throws PluginError 422 `plugin_duplicate_name`; nothing is changed then.
   */
  swap(plugin: string, going: Provisions = NOTHING, coming?: Incoming): void {
    const { connectors, pickers, dialects } = coming === undefined ? NOTHING : this.#contained(coming);
    const swaps = {
      connectors: { remove: going.connectors.map(({ name }) => name), add: connectors },
      pickers: { remove: going.pickers.map(({ name }) => name), add: pickers },
      dialects: { remove: going.dialects.map(({ name }) => name), add: dialects },
    };
    try {
      this.connectors.assertSwap(swaps.connectors);
      this.pickers.assertSwap(swaps.pickers);
      this.dialects.assertSwap(swaps.dialects);
      this.managers.swap({ remove: going.managers.map(({ name }) => name), add: managersOf(coming) });
    } catch (error) {
      if (error instanceof DuplicateNameError) throw duplicate(plugin, error.message, error);
      throw error;
    }
    this.connectors.swap(swaps.connectors);
    this.pickers.swap(swaps.pickers);
    this.dialects.swap(swaps.dialects);
  }

  #contained({ provisions, containment }: Incoming): Provisions {
    const { managers, connectors, pickers, dialects } = provisions;
    const instead = (): EndpointPicker => this.pickers.byDefault;
    return {
      managers,
      connectors: each(connectors, (connector) => containedCalls(connector, CONNECTOR_CALLS, containment)),
      pickers: each(pickers, (picker) => containedPicker(picker, instead, containment)),
      dialects: each(dialects, (dialect) => containedCalls(dialect, DIALECT_CALLS, containment)),
    };
  }

  #names(): Readonly<Record<ProvisionKind, readonly string[]>> {
    return {
      manager: this.managers.names(),
      connector: this.connectors.names,
      picker: this.pickers.names,
      dialect: this.dialects.names,
    };
  }
}

function each<Instance extends object>(
  provisions: readonly Provision<Instance>[],
  contain: (instance: Instance) => Instance,
): readonly Provision<Instance>[] {
  return provisions.map(({ name, instance }) => ({ name, instance: contain(instance) }));
}

function managersOf(coming: Incoming | undefined): Parameters<ManagerRegistry['swap']>[0]['add'] {
  if (coming === undefined) return [];
  const { manifest, provisions, containment } = coming;
  const origin = `${manifest.name}@${manifest.version}`;
  return provisions.managers.map((manager) => ({ ...manager, origin, containment }));
}

/** The names of one kind among what a plugin says it brings. */
export function namesOf(kind: ProvisionKind, provides: readonly string[]): readonly string[] {
  return provides.flatMap((text) => {
    const provision = provisionOf(text);
    return provision?.kind === kind ? [provision.name] : [];
  });
}

function duplicate(plugin: string, reason: string, cause?: unknown): PluginError {
  return new PluginError({
    plugin,
    code: 'plugin_duplicate_name',
    reason,
    fix: 'Give what the plugin brings another name.',
    cause,
  });
}
