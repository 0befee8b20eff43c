import { DialectMetadata, dialectNames, hasDialect, poolEndpoints, swapDialects, type Dialect } from '@baton/remotes';
import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryService, Reflector } from '@nestjs/core';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { DiscoveredRegistry } from './discovered-registry.js';
import { DuplicateNameError } from './duplicate-name.error.js';
import type { ProvisionSwap } from './provision-registry.js';

/**
 * The application's dialects of engine servers, besides those that come with Baton. There is one list of dialects for a
 * process; what an application adds to it is taken out again when it shuts down.
 */
@Injectable()
export class EngineDialects
  extends DiscoveredRegistry<Dialect>
  implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown
{
  readonly used: readonly string[];

  constructor(
    discovery: DiscoveryService,
    reflector: Reflector,
    @Inject(COORDINATION_OPTIONS) { prefill, decode, local }: CoordinationOptions,
  ) {
    super({ kind: 'dialect', discovery, reflector, decorator: DialectMetadata });
    const endpoints = [
      ...[prefill, decode].flatMap((pool) => poolEndpoints(pool?.endpoints ?? [], pool?.dialect)),
      ...poolEndpoints(local?.endpoint === undefined ? [] : [local.endpoint]),
    ];
    this.used = [...new Set(endpoints.flatMap(({ dialect }) => dialect ?? []))];
  }

  override discover(): void {
    const before = new Set(this.own);
    super.discover();
    swapDialects(
      [],
      this.own.filter((name) => !before.has(name)).map((name) => this.named(name)),
    );
  }

  /** @throws Error when an endpoint speaks a dialect that there is none of, so that the application does not start. */
  onApplicationBootstrap(): void {
    for (const name of this.used) {
      if (hasDialect(name)) continue;
      throw new Error(`An endpoint speaks "${name}", which is none of ${dialectNames().join(', ')}.`);
    }
  }

  onApplicationShutdown(): void {
    this.swap({ remove: this.own, add: [] });
  }

  override get names(): readonly string[] {
    return dialectNames();
  }

  /** Those that this application added. */
  private get own(): readonly string[] {
    return super.names;
  }

  override assertSwap(swap: ProvisionSwap<Dialect>): void {
    super.assertSwap(swap);
    const taken = dialectNames().filter((name) => !swap.remove.includes(name));
    for (const { name, instance } of swap.add) {
      if (taken.includes(name))
        throw new DuplicateNameError('dialect', name, 'one of Baton', instance.constructor.name);
    }
  }

  override swap(swap: ProvisionSwap<Dialect>): void {
    this.assertSwap(swap);
    swapDialects(
      swap.remove,
      swap.add.map(({ instance }) => instance),
    );
    super.swap(swap);
  }
}
