import type { DisaggregatedRequestManager } from '../managers/disaggregated-request-manager.js';
import { frozenCopy } from '../policy/frozen-copy.js';
import { DEFAULT_POLICY, type ManagerPolicy } from '../policy/manager-policy.js';
import { DuplicateNameError } from '../registry/duplicate-name.error.js';
import type { Containment } from './containment.js';

/** The origin of managers that came with the application, not with a plugin. */
export const IN_TREE = 'in-tree';

/** A manager with what is in force for it. */
export interface PolicyEntry extends ManagerPolicy {
  readonly name: string;
  readonly manager: DisaggregatedRequestManager;
  /** Where it comes from: {@link IN_TREE}, or `<plugin>@<version>`. */
  readonly origin: string;
  /** Only managers of plugins are contained. */
  readonly containment?: Containment;
}

/** A manager to be put into a table; what is left out is as {@link DEFAULT_POLICY} says. */
export type NewPolicyEntry = Pick<PolicyEntry, 'name' | 'manager'> & Partial<PolicyEntry>;

/**
 * The managers in the order in which they are asked, with what is in force for them. Immutable: a change makes another
 * snapshot, and a request keeps the one that it started with.
 */
export class PolicyTable {
  static readonly EMPTY = new PolicyTable(0, 0, []);

  /** The managers that are asked, in order. */
  readonly entries: readonly PolicyEntry[];

  private constructor(
    /** Changes of policies at run time; processes that share a policy state share it. */
    readonly policyVersion: number,
    /** Changes of which managers there are, in this process. */
    readonly revision: number,
    /** Every manager that is known, in order; also those that are not asked. */
    readonly all: readonly PolicyEntry[],
  ) {
    Object.freeze(all);
    this.entries = Object.freeze(all.filter(({ enabled }) => enabled));
    Object.freeze(this);
  }

  /** Names this snapshot in this process: `<policyVersion>.<revision>`. */
  get version(): string {
    return `${this.policyVersion}.${this.revision}`;
  }

  /** The manager that is known under `name`, whether it is asked or not. */
  get(name: string): PolicyEntry | undefined {
    return this.all.find((entry) => entry.name === name);
  }

  /**
   * The next revision, with `entry` in its place; this one when it has that manager under that name already.
   *
   * @throws DuplicateNameError when another manager has the name.
   */
  with(entry: NewPolicyEntry): PolicyTable {
    return this.get(entry.name)?.manager === entry.manager ? this : this.swap([], [entry]);
  }

  /**
   * The next revision, without the managers named `remove` and with `add`. Names that are not there are passed over.
   *
   * @throws DuplicateNameError when two managers would have one name.
   */
  swap(remove: readonly string[], add: readonly NewPolicyEntry[]): PolicyTable {
    const all = this.all.filter(({ name }) => !remove.includes(name));
    for (const entry of add) {
      const known = all.find(({ name }) => name === entry.name);
      if (known !== undefined) {
        const [first, second] = [known, entry].map(({ manager }) => manager.constructor.name);
        throw new DuplicateNameError('manager', entry.name, first ?? '', second ?? '');
      }
      all.push(entryOf(entry));
    }
    return new PolicyTable(this.policyVersion, this.revision + 1, all.sort(byOrder));
  }

  /** The same managers under the policies of `policyVersion`. */
  under(policyVersion: number, policyOf: (entry: PolicyEntry) => ManagerPolicy): PolicyTable {
    const all = this.all.map((entry) => entryOf({ ...entry, ...policyOf(entry) }));
    return new PolicyTable(policyVersion, this.revision, all.sort(byOrder));
  }

  /**
   * The entries with that of `name` first. Somebody chose it for this request, so neither its condition nor its share is
   * asked; that it only looks on (`shadow`) stays. Undefined when no such manager is asked.
   */
  startingWith(name: string): readonly PolicyEntry[] | undefined {
    const chosen = this.entries.find((entry) => entry.name === name);
    if (chosen === undefined) return undefined;
    const first = { ...chosen, disaggregateWhen: undefined, canaryPercent: DEFAULT_POLICY.canaryPercent };
    return [first, ...this.entries.filter((entry) => entry !== chosen)];
  }
}

function byOrder(a: PolicyEntry, b: PolicyEntry): number {
  return a.priority - b.priority || a.name.localeCompare(b.name);
}

/** A copy that nobody can edit. The manager itself has a state of its own and stays as it is. */
function entryOf({
  name,
  manager,
  origin = IN_TREE,
  containment,
  enabled = DEFAULT_POLICY.enabled,
  priority = DEFAULT_POLICY.priority,
  disaggregateWhen,
  canaryPercent = DEFAULT_POLICY.canaryPercent,
  canaryHeader,
  shadow = DEFAULT_POLICY.shadow,
}: NewPolicyEntry): PolicyEntry {
  return Object.freeze({
    ...{ name, manager, origin, containment, enabled, priority, canaryPercent, canaryHeader, shadow },
    disaggregateWhen: disaggregateWhen && frozenCopy(disaggregateWhen),
  });
}
