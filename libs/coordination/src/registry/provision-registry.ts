/** A thing that a plugin provides, under the name that it is registered by. */
export interface Provision<Instance extends object = object> {
  readonly name: string;
  readonly instance: Instance;
}

/** Which things go and which come, in one step. */
export interface ProvisionSwap<Instance extends object = object> {
  /** Names; those that are not there are passed over. */
  readonly remove: readonly string[];
  readonly add: readonly Provision<Instance>[];
}

/** A registry whose things can come and go at run time. */
export interface ProvisionRegistry<Instance extends object = object> {
  /** Registers the decorated providers of the application, once. @throws DuplicateNameError */
  discover(): void;
  /** The names that are taken now, sorted. */
  readonly names: readonly string[];
  /** The names that the configuration selects: these must not go. */
  readonly used: readonly string[];
  /** @throws Error when two things would have one name. Changes nothing. */
  assertSwap(swap: ProvisionSwap<Instance>): void;
  /** @throws Error as {@link assertSwap}; nothing is changed then. */
  swap(swap: ProvisionSwap<Instance>): void;
}
