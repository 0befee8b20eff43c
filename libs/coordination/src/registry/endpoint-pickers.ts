import { EndpointPickerMetadata, type EndpointPicker } from '@baton/remotes';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryService, Reflector } from '@nestjs/core';
import { COORDINATION_OPTIONS } from '../coordination.constants.js';
import { DEFAULT_PICKER, type CoordinationOptions } from '../coordination.options.js';
import { discover } from './discover.js';
import { NamedRegistry } from './named-registry.js';

/** The application's endpoint pickers, and the one that is configured. */
@Injectable()
export class EndpointPickers implements OnApplicationBootstrap {
  readonly #registry = new NamedRegistry<EndpointPicker>('endpoint picker');

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly reflector: Reflector,
    @Inject(COORDINATION_OPTIONS) private readonly options: CoordinationOptions,
  ) {}

  /** @throws Error when the configured name is unknown. */
  onApplicationBootstrap(): void {
    for (const { instance, options } of discover<EndpointPicker, { name: string }>(
      this.discovery,
      this.reflector,
      EndpointPickerMetadata,
    )) {
      this.#registry.add(options.name, instance);
    }
    if (this.options.connector !== undefined) this.#registry.get(this.name);
  }

  /** The configured picker. */
  get active(): EndpointPicker {
    return this.#registry.get(this.name);
  }

  private get name(): string {
    return this.options.picker ?? DEFAULT_PICKER;
  }
}
