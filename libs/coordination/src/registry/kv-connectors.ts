import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, Reflector } from '@nestjs/core';
import { KvConnectorMetadata, type KvConnector } from '../connectors/kv-connector.js';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { DiscoveredRegistry } from './discovered-registry.js';

/** The application's KV connectors, and the one that is configured. */
@Injectable()
export class KvConnectors extends DiscoveredRegistry<KvConnector> implements OnModuleInit, OnApplicationBootstrap {
  constructor(
    discovery: DiscoveryService,
    reflector: Reflector,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
  ) {
    super({ kind: 'KV connector', discovery, reflector, decorator: KvConnectorMetadata });
  }

  /** @throws Error when the configured name is unknown, so that the application does not start with it. */
  onApplicationBootstrap(): void {
    if (this.options.connector !== undefined) this.named(this.options.connector);
  }

  /** The configured connector. @throws Error when none is configured. */
  get active(): KvConnector {
    return this.named(this.options.connector ?? '');
  }

  override get used(): readonly string[] {
    return this.options.connector === undefined ? [] : [this.options.connector];
  }
}
