import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryService, Reflector } from '@nestjs/core';
import { KvConnectorMetadata, type KvConnector } from '../connectors/kv-connector.js';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { discover } from './discover.js';
import { NamedRegistry } from './named-registry.js';

/** The application's KV connectors, and the one that is configured. */
@Injectable()
export class KvConnectors implements OnApplicationBootstrap {
  readonly #registry = new NamedRegistry<KvConnector>('KV connector');

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly reflector: Reflector,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
  ) {}

  /** @throws Error when the configured name is unknown, so that the application does not start with it. */
  onApplicationBootstrap(): void {
    for (const { instance, options } of discover<KvConnector, { name: string }>(
      this.discovery,
      this.reflector,
      KvConnectorMetadata,
    )) {
      this.#registry.add(options.name, instance);
    }
    if (this.options.connector !== undefined) this.#registry.get(this.options.connector);
  }

  /** The configured connector. @throws Error when none is configured. */
  get active(): KvConnector {
    return this.#registry.get(this.options.connector ?? '');
  }
}
