import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryService, Reflector } from '@nestjs/core';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import type { ManagerSettings } from '../dispatch/manager-settings.js';
import { PolicyTable } from '../dispatch/policy-table.js';
import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { RequestManagerMetadata, type RequestManagerOptions } from '../managers/request-manager.decorator.js';
import { discover } from './discover.js';
import { NamedRegistry } from './named-registry.js';

/**
 * The application's managers, with what the configuration says of them. Each change makes a new policy table; a request
 * keeps the one it started with.
 */
@Injectable()
export class ManagerRegistry implements OnApplicationBootstrap {
  /** Also those that the configuration has switched off: their names are taken. */
  readonly #known = new NamedRegistry<DisaggregatedRequestManager>('manager');
  readonly #settings: ReadonlyMap<string, ManagerSettings>;
  #table = PolicyTable.EMPTY;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly reflector: Reflector,
    @Inject(COORDINATION_OPTIONS) options: CoordinationOptions,
  ) {
    this.#settings = settingsByName(options.managers ?? []);
  }

  /** @throws Error when there are settings for a manager that is not there, so that the application does not start. */
  onApplicationBootstrap(): void {
    for (const { instance, options } of discover<DisaggregatedRequestManager, RequestManagerOptions>(
      this.discovery,
      this.reflector,
      RequestManagerMetadata,
    )) {
      this.register(instance, options);
    }
    for (const name of this.#settings.keys()) this.#known.get(name);
  }

  /**
   * Adds a manager without a decorator. It can have settings too, when it is there before the application's bootstrap
   * (from an `onModuleInit`).
   *
   * @throws DuplicateNameError that names both classes.
   */
  register(manager: DisaggregatedRequestManager, { name, priority = 0 }: RequestManagerOptions): void {
    this.#known.add(name, manager);
    const settings = this.#settings.get(name);
    if (settings?.enabled === false) return;
    this.#table = this.#table.with({
      manager,
      name,
      priority: settings?.priority ?? priority,
      condition: settings?.disaggregateWhen,
    });
  }

  /** The present table. */
  get table(): PolicyTable {
    return this.#table;
  }
}

function settingsByName(settings: readonly ManagerSettings[]): ReadonlyMap<string, ManagerSettings> {
  const byName = new Map(settings.map((entry) => [entry.name, entry]));
  if (byName.size === settings.length) return byName;
  const twice = settings.find((entry) => byName.get(entry.name) !== entry);
  throw new Error(`There are two settings for the manager "${twice?.name ?? ''}". Keep one of them.`);
}
