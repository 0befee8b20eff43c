/** The hooks that Nest runs when it closes an application, in that order. */
const LAST_HOOKS = ['onModuleDestroy', 'beforeApplicationShutdown', 'onApplicationShutdown'] as const;

/**
 * Runs the last hooks of what was made of an application that did not start, the last first: Nest closes nothing of it.
 *
 * @throws AggregateError of what hooks threw; all of them have run then.
 */
export async function runLastHooks(made: readonly unknown[]): Promise<void> {
  const instances = [...new Set(made)].reverse();
  const errors: unknown[] = [];
  for (const hook of LAST_HOOKS) {
    for (const instance of instances) {
      const method: unknown = instance instanceof Object ? Reflect.get(instance, hook) : undefined;
      if (typeof method !== 'function') continue;
      try {
        await Reflect.apply(method, instance, []);
      } catch (error) {
        errors.push(error);
      }
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, 'Hooks failed.');
}
