import { DuplicateNameError } from './duplicate-name.error.js';

/** Things of one kind by their unique name. */
export class NamedRegistry<Instance extends object> {
  readonly #byName = new Map<string, Instance>();

  constructor(private readonly kind: string) {}

  /** @throws DuplicateNameError when another instance has the name. */
  add(name: string, instance: Instance): void {
    const known = this.#byName.get(name);
    if (known === instance) return;
    if (known !== undefined) {
      throw new DuplicateNameError(this.kind, name, known.constructor.name, instance.constructor.name);
    }
    this.#byName.set(name, instance);
  }

  /** @throws Error that lists the known names. */
  get(name: string): Instance {
    const instance = this.#byName.get(name);
    if (instance !== undefined) return instance;
    const known = [...this.#byName.keys()].sort().join(', ') || 'none';
    throw new Error(`There is no ${this.kind} named "${name}". Known: ${known}.`);
  }
}
