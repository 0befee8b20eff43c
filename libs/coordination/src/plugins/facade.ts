/** Nest calls these on whatever a module provides: on a service of the host only the host's own application may. */
const HOOKS: ReadonlySet<PropertyKey> = new Set([
  'onModuleInit',
  'onApplicationBootstrap',
  'onModuleDestroy',
  'beforeApplicationShutdown',
  'onApplicationShutdown',
]);

/**
 * A service of the host for a plugin: works as the service does and is an instance of its class, but has no lifecycle hooks,
 * none of the methods in `withheld`, and cannot be changed.
 */
export function facadeOf<Service extends object>(service: Service, withheld: readonly (keyof Service)[] = []): Service {
  const bound = new Map<PropertyKey, unknown>();
  const isHidden = (key: PropertyKey): boolean => HOOKS.has(key) || (withheld as readonly PropertyKey[]).includes(key);
  return new Proxy(service, {
    get(target, key) {
      if (isHidden(key)) return undefined;
      // On the service itself: a proxy has no private members.
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function' || key === 'constructor') return value;
      if (!bound.has(key)) bound.set(key, value.bind(target));
      return bound.get(key);
    },
    has: (target, key) => !isHidden(key) && Reflect.has(target, key),
    set: () => false,
    defineProperty: () => false,
    deleteProperty: () => false,
    setPrototypeOf: () => false,
  });
}
