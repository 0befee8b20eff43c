import { DuplicateNameError } from './duplicate-name.error.js';

/** Things of one kind by their unique name. */
export class NamedRegistry<Instance extends object> {
  #byName: ReadonlyMap<string, Instance> = new Map();

  constructor(private readonly kind: string) {}

  /** @throws DuplicateNameError when another instance has the name. */
  add(name: string, instance: Instance): void {
    if (this.#byName.get(name) !== instance) this.swap([], [[name, instance]]);
  }

  /**
   * Takes instances out and puts others in, in one step.
   *
   * @param remove names; those that are not there are passed over.
   * @throws DuplicateNameError when two instances would have one name; nothing is changed then.
   */
  swap(remove: readonly string[], add: readonly (readonly [name: string, instance: Instance])[]): void {
    this.#byName = this.#swapped(remove, add);
  }

  /** @throws DuplicateNameError when a {@link swap} would. Changes nothing. */
  assertSwap(remove: readonly string[], add: readonly (readonly [name: string, instance: Instance])[]): void {
    this.#swapped(remove, add);
  }

  /** The names, sorted. */
  get names(): readonly string[] {
    return [...this.#byName.keys()].sort();
  }

  /** @throws Error that lists the known names. */
  get(name: string): Instance {
    const instance = this.#byName.get(name);
    if (instance !== undefined) return instance;
    throw new Error(`There is no ${this.kind} named "${name}". Known: ${this.names.join(', ') || 'none'}.`);
  }

  #swapped(
    remove: readonly string[],
    add: readonly (readonly [name: string, instance: Instance])[],
  ): ReadonlyMap<string, Instance> {
    const next = new Map([...this.#byName].filter(([name]) => !remove.includes(name)));
    for (const [name, instance] of add) {
      const taken = next.get(name);
      if (taken !== undefined) {
        throw new DuplicateNameError(this.kind, name, taken.constructor.name, instance.constructor.name);
      }
      next.set(name, instance);
    }
    return next;
  }
}
