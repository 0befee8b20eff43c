import type { DiscoveryService, Reflector } from '@nestjs/core';
import { discover } from './discover.js';
import { NamedRegistry } from './named-registry.js';
import type { ProvisionRegistry, ProvisionSwap } from './provision-registry.js';

/** What a registry is of, and how its things are found in the application. */
interface Discovery<Instance extends object> {
  readonly kind: string;
  readonly discovery: DiscoveryService;
  readonly reflector: Reflector;
  readonly decorator: Parameters<typeof discover<Instance, { name: string }>>[2];
}

/** Things that the application's providers are by a decorator, and that can come and go at run time as well. */
export abstract class DiscoveredRegistry<Instance extends object> implements ProvisionRegistry<Instance> {
  readonly #registry: NamedRegistry<Instance>;
  readonly #discovery: Discovery<Instance>;
  #isDiscovered = false;

  protected constructor(discovery: Discovery<Instance>) {
    this.#discovery = discovery;
    this.#registry = new NamedRegistry(discovery.kind);
  }

  abstract get used(): readonly string[];

  onModuleInit(): void {
    this.discover();
  }

  discover(): void {
    if (this.#isDiscovered) return;
    this.#isDiscovered = true;
    const { discovery, reflector, decorator } = this.#discovery;
    for (const { instance, options } of discover<Instance, { name: string }>(discovery, reflector, decorator)) {
      this.#registry.add(options.name, instance);
    }
  }

  get names(): readonly string[] {
    return this.#registry.names;
  }

  assertSwap({ remove, add }: ProvisionSwap<Instance>): void {
    this.#registry.assertSwap(
      remove,
      add.map(({ name, instance }) => [name, instance]),
    );
  }

  swap({ remove, add }: ProvisionSwap<Instance>): void {
    this.#registry.swap(
      remove,
      add.map(({ name, instance }) => [name, instance]),
    );
  }

  /** @throws Error that lists the known names. */
  protected named(name: string): Instance {
    return this.#registry.get(name);
  }
}
