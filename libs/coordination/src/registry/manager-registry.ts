import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, Reflector } from '@nestjs/core';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import type { Containment } from '../dispatch/containment.js';
import { DispatchCounters } from '../dispatch/dispatch-counters.js';
import type { ManagerSettings } from '../dispatch/manager-settings.js';
import { IN_TREE, PolicyTable, type NewPolicyEntry } from '../dispatch/policy-table.js';
import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { RequestManagerMetadata, type RequestManagerOptions } from '../managers/request-manager.decorator.js';
import { frozenCopy } from '../policy/frozen-copy.js';
import { policyOf, type ManagerPolicy, type PolicyOverrides } from '../policy/manager-policy.js';
import { assertSettings } from '../policy/policy-change.js';
import { discover } from './discover.js';

/** A manager to be registered, and what its author proposes. */
export interface ManagerRegistration extends RequestManagerOptions {
  readonly manager: DisaggregatedRequestManager;
  /** `<plugin>@<version>`. Default {@link IN_TREE}. */
  readonly origin?: string;
  /** Keeps its faults from the requests that it takes. Default: they are the requests' own. */
  readonly containment?: Containment;
}

/** Which managers go and which come, in one step. */
export interface ManagerSwap {
  /** Names; those that are not there are passed over. */
  readonly remove: readonly string[];
  readonly add: readonly ManagerRegistration[];
}

/**
 * The application's managers, with what is in force for them: what an operator changed, before the configuration, before
 * what their authors propose. Each change makes a new policy table; a request keeps the one it started with.
 */
@Injectable()
export class ManagerRegistry implements OnModuleInit, OnApplicationBootstrap {
  readonly #settings: ReadonlyMap<string, ManagerSettings>;
  /** What the authors propose, by name. */
  readonly #proposed = new Map<string, RequestManagerOptions>();
  readonly #expected = new Set<string>();
  #overrides: PolicyOverrides = new Map();
  #table = PolicyTable.EMPTY;
  #isDiscovered = false;

  /** @throws Error that names the setting which is not allowed. */
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly reflector: Reflector,
    @Inject(COORDINATION_OPTIONS) options: CoordinationOptions,
    private readonly counters: DispatchCounters,
  ) {
    assertSettings(options.managers ?? []);
    this.#settings = new Map((options.managers ?? []).map((settings) => [settings.name, frozenCopy(settings)]));
  }

  /** @throws DuplicateNameError, Error as {@link discover} */
  onModuleInit(): void {
    this.discover();
  }

  /** @throws Error when there are settings for a manager that is not there, so that the application does not start. */
  onApplicationBootstrap(): void {
    for (const name of this.#settings.keys()) {
      if (this.isKnown(name)) continue;
      const known = this.names().join(', ') || 'none';
      throw new Error(`There is no manager named "${name}". Known: ${known}.`);
    }
  }

  /**
   * Registers the decorated providers of the application, once: whoever registers others afterwards finds their names taken.
   *
   * @throws DuplicateNameError that names both classes.
   * @throws Error for a manager that is no singleton.
   */
  discover(): void {
    if (this.#isDiscovered) return;
    this.#isDiscovered = true;
    for (const { instance, options } of discover<DisaggregatedRequestManager, RequestManagerOptions>(
      this.discovery,
      this.reflector,
      RequestManagerMetadata,
    )) {
      this.register(instance, options);
    }
  }

  /**
   * Adds a manager without a decorator. It can have settings too, when it is there before the application's bootstrap
   * (from an `onModuleInit`).
   *
   * @throws DuplicateNameError that names both classes.
   */
  register(manager: DisaggregatedRequestManager, options: RequestManagerOptions): void {
    if (this.#table.get(options.name)?.manager === manager) return;
    this.swap({ remove: [], add: [{ ...options, manager }] });
  }

  /**
   * Takes managers out and puts others in, as one new snapshot: a request is asked of all of them or of none.
   *
   * @returns the new snapshot.
   * @throws DuplicateNameError when two managers would have one name; nothing is changed then.
   */
  swap({ remove, add }: ManagerSwap): PolicyTable {
    const entries = add.map((registration) => this.#entryOf(registration));
    const table = this.#table.swap(remove, entries);
    const added = new Set(add.map(({ name }) => name));
    for (const name of remove.filter((removed) => !added.has(removed))) {
      this.#proposed.delete(name);
      this.counters.forget(name);
    }
    for (const { name, priority, enabled } of add) this.#proposed.set(name, { name, priority, enabled });
    this.#table = table;
    return table;
  }

  /** Managers that may come later, from a plugin that could not be loaded: policies for them are no error. */
  expect(names: readonly string[]): void {
    for (const name of names) this.#expected.add(name);
  }

  /** Puts the policies of a version in force, as one new snapshot. Only `PolicyControl` calls it. */
  govern(policyVersion: number, overrides: PolicyOverrides): PolicyTable {
    this.#overrides = overrides;
    this.#table = this.#table.under(policyVersion, ({ name }) => this.policyOf(name, overrides));
    return this.#table;
  }

  /** What is in force for `name` under `overrides`, whether there is such a manager or not. */
  policyOf(name: string, overrides: PolicyOverrides = this.#overrides): ManagerPolicy {
    return policyOf(this.#proposed.get(name) ?? {}, this.#settings.get(name), overrides.get(name));
  }

  /** Whether a manager of that name is there, or is expected. */
  isKnown(name: string): boolean {
    return this.#expected.has(name) || this.#table.get(name) !== undefined;
  }

  /** The names of the managers that are there, sorted. */
  names(): readonly string[] {
    return this.#table.all.map(({ name }) => name).sort();
  }

  /** The present table. */
  get table(): PolicyTable {
    return this.#table;
  }

  #entryOf({ manager, name, priority, enabled, origin = IN_TREE, containment }: ManagerRegistration): NewPolicyEntry {
    const policy = policyOf({ priority, enabled }, this.#settings.get(name), this.#overrides.get(name));
    return { ...policy, manager, name, origin, containment };
  }
}
