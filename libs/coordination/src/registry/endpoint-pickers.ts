import { EndpointPickerMetadata, type EndpointPicker } from '@baton/remotes';
import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, Reflector } from '@nestjs/core';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import { DEFAULT_PICKER, type CoordinationOptions } from '../coordination.options.js';
import { DiscoveredRegistry } from './discovered-registry.js';

/** The application's endpoint pickers, and the one that is configured. */
@Injectable()
export class EndpointPickers
  extends DiscoveredRegistry<EndpointPicker>
  implements OnModuleInit, OnApplicationBootstrap
{
  constructor(
    discovery: DiscoveryService,
    reflector: Reflector,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
  ) {
    super({ kind: 'endpoint picker', discovery, reflector, decorator: EndpointPickerMetadata });
  }

  /** @throws Error when the configured name is unknown. */
  onApplicationBootstrap(): void {
    if (this.options.connector !== undefined) this.named(this.name);
  }

  /** The configured picker. */
  get active(): EndpointPicker {
    return this.named(this.name);
  }

  /** The one that picks where the configured one cannot. */
  get byDefault(): EndpointPicker {
    return this.named(DEFAULT_PICKER);
  }

  override get used(): readonly string[] {
    return [this.name];
  }

  private get name(): string {
    return this.options.picker ?? DEFAULT_PICKER;
  }
}
