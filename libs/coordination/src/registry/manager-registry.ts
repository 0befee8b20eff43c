import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryService, Reflector } from '@nestjs/core';
import { PolicyTable } from '../dispatch/policy-table.js';
import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { RequestManagerMetadata, type RequestManagerOptions } from '../managers/request-manager.decorator.js';
import { discover } from './discover.js';

/** The application's managers. Each change makes a new policy table; a request keeps the one it started with. */
@Injectable()
export class ManagerRegistry implements OnApplicationBootstrap {
  #table = PolicyTable.EMPTY;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly reflector: Reflector,
  ) {}

  onApplicationBootstrap(): void {
    for (const { instance, options } of discover<DisaggregatedRequestManager, RequestManagerOptions>(
      this.discovery,
      this.reflector,
      RequestManagerMetadata,
    )) {
      this.register(instance, options);
    }
  }

  /**
   * Adds a manager without a decorator.
   *
   * @throws DuplicateNameError that names both classes.
   */
  register(manager: DisaggregatedRequestManager, options: RequestManagerOptions): void {
    this.#table = this.#table.with({ manager, name: options.name, priority: options.priority ?? 0 });
  }

  /** The present table. */
  get table(): PolicyTable {
    return this.#table;
  }
}
