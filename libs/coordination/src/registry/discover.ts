import type { DiscoveryService, Reflector } from '@nestjs/core';

/** A provider that carries a decorator's metadata. */
export interface Discovered<Instance, Options> {
  readonly instance: Instance;
  readonly className: string;
  readonly options: Options;
}

/** A decorator made by `Reflector.createDecorator`. */
type MetadataDecorator<Options> = ReturnType<typeof Reflector.createDecorator<Options>>;

/**
 * The application's providers that carry `decorator`.
 *
 * @throws Error for a request-scoped provider: it has no instance outside a request, so it cannot be registered.
 */
export function discover<Instance, Options>(
  discovery: DiscoveryService,
  reflector: Reflector,
  decorator: MetadataDecorator<Options>,
): Discovered<Instance, Options>[] {
  return discovery.getProviders().flatMap((wrapper) => {
    const type: unknown = wrapper.metatype;
    if (typeof type !== 'function') return [];
    const options = reflector.get<Options | undefined>(decorator, type as never);
    if (options === undefined) return [];
    if (!wrapper.isDependencyTreeStatic()) {
      throw new Error(`${type.name} is request-scoped (or depends on a request-scoped provider), but only singletons can be registered.`);
    }
    // The decorator is the contract: a class that carries it implements the interface it stands for.
    return [{ instance: wrapper.instance as Instance, className: type.name, options }];
  });
}
