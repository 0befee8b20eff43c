import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { DuplicateNameError } from '../registry/duplicate-name.error.js';
import type { DisaggregateWhen } from './manager-settings.js';

/** A manager with its place in the order. */
export interface PolicyEntry {
  readonly name: string;
  /** A lower number is asked first. */
  readonly priority: number;
  readonly manager: DisaggregatedRequestManager;
  /** What has to hold of a request for the manager to be asked. */
  readonly condition?: DisaggregateWhen;
}

/** The active managers in the order in which they are asked. Immutable: a change makes the next version. */
export class PolicyTable {
  static readonly EMPTY = new PolicyTable(0, []);

  private constructor(
    /** Rises by one with each change. */
    readonly version: number,
    readonly entries: readonly PolicyEntry[],
  ) {}

  /**
   * The next version, with `entry` in its place: ascending priority, then name.
   *
   * @throws DuplicateNameError when another manager has the name.
   */
  with(entry: PolicyEntry): PolicyTable {
    const known = this.entries.find(({ name }) => name === entry.name);
    if (known?.manager === entry.manager) return this;
    if (known !== undefined) {
      throw new DuplicateNameError(
        'manager',
        entry.name,
        known.manager.constructor.name,
        entry.manager.constructor.name,
      );
    }
    const entries = [...this.entries, entry].sort((a, b) => a.priority - b.priority || a.name.localeCompare(b.name));
    return new PolicyTable(this.version + 1, entries);
  }

  /**
   * The entries with that of `name` first. Somebody chose it for this request, so its condition is not asked.
   * Undefined when the table has no such entry.
   */
  startingWith(name: string): readonly PolicyEntry[] | undefined {
    const chosen = this.entries.find((entry) => entry.name === name);
    if (chosen === undefined) return undefined;
    return [{ ...chosen, condition: undefined }, ...this.entries.filter((entry) => entry !== chosen)];
  }
}
