import type { ManagerCounters } from '../dispatch/dispatch-counters.js';
import type { ManagerPolicy } from './manager-policy.js';

/** What is in force for one manager, and what it made of it. */
export interface PolicyOfManager extends ManagerPolicy {
  readonly name: string;
  /** `in-tree`, or `<plugin>@<version>`. */
  readonly origin: string;
  /** Its plugin had too many faults in this process: whatever its policy says, it is not asked until that is loaded again. */
  readonly isSwitchedOff: boolean;
  /** When it is asked, counted from 1; null when it is not asked. */
  readonly position: number | null;
  readonly counters: ManagerCounters;
}

/** The present policies. */
export interface PolicySnapshot {
  /** Rises with each change of policies: what a change expects to find. */
  readonly version: number;
  /** Names the snapshot that new requests are dispatched on, as `x-baton-policy-version` does: `<version>.<revision>`. */
  readonly id: string;
  /** Every manager, in the order in which they are asked, if they are. */
  readonly managers: readonly PolicyOfManager[];
  /** Managers that are not there, of which policies were changed: these are in force when they come. */
  readonly absent: readonly string[];
}
