import type { Type } from '@nestjs/common';
import type { DiscoveryService, Reflector } from '@nestjs/core';

/** A provider that carries a decorator's metadata. */
export interface Discovered<Instance, Options> {
  readonly instance: Instance;
  readonly className: string;
  readonly options: Options;
}

type Provided = ReturnType<DiscoveryService['getProviders']>[number];

/** A decorator made by `Reflector.createDecorator`. */
type MetadataDecorator<Options> = ReturnType<typeof Reflector.createDecorator<Options>>;

/**
 * The application's providers that carry `decorator`.
 *
 * @throws Error for a request-scoped or transient provider: it has no instance of its own that could be registered.
 */
export function discover<Instance, Options>(
  discovery: DiscoveryService,
  reflector: Reflector,
  decorator: MetadataDecorator<Options>,
): Discovered<Instance, Options>[] {
  return discovery.getProviders().flatMap((wrapper) => {
    const type = decoratedClass(wrapper, (candidate) => reflector.get<unknown>(decorator, candidate) !== undefined);
    if (type === undefined) return [];
    if (!wrapper.isDependencyTreeStatic()) {
      throw new Error(
        `${type.name} is request-scoped (or depends on a request-scoped provider), but only singletons can be registered.`,
      );
    }
    if (wrapper.isTransient) throw new Error(`${type.name} is transient, but only singletons can be registered.`);
    // The decorator is the contract: a class that carries it implements the interface it stands for.
    const options = reflector.get<Options>(decorator, type);
    return [{ instance: wrapper.instance as Instance, className: type.name, options }];
  });
}

/** A provider's class: its own, or that of what its factory made. */
function decoratedClass(wrapper: Provided, isDecorated: (type: Type) => boolean): Type | undefined {
  const candidates: unknown[] = [wrapper.metatype, (wrapper.instance as object | null | undefined)?.constructor];
  return candidates.find((type): type is Type => typeof type === 'function' && isDecorated(type as Type));
}
