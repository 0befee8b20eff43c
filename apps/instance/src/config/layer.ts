import type { Leaf } from './leaves.js';

/** A setting that some source gives. */
export interface GivenSetting {
  readonly leaf: Leaf;
  readonly value: unknown;
  /** Where it was given: a file's path or a variable's name. */
  readonly source: string;
}

/** What one source of configuration says, and what it says that cannot be understood. */
export interface Layer {
  readonly settings: readonly GivenSetting[];
  readonly problems: readonly string[];
}
