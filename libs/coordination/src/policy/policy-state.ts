import type { Observable } from 'rxjs';
import type { PolicyField, PolicyOverrides } from './manager-policy.js';

/** Who makes a change, and why. */
export interface ChangeAuthor {
  /** A label, never a key: that of an admin key, or `baton` for what the instance does itself. */
  readonly who: string;
  readonly reason?: string;
}

/** One field of one manager's policy, before and after a change. */
export interface PolicyDifference {
  readonly manager: string;
  readonly field: PolicyField;
  /** What was in force; null for a condition or header that was not set. */
  readonly from: unknown;
  /** What is in force now. */
  readonly to: unknown;
}

/** A version of the policies, as it is kept. */
export interface PolicyVersion extends ChangeAuthor {
  /** Above 0, which is when nothing was changed yet. Rises with each change; a number that was lost is left out. */
  readonly version: number;
  /** When it was made, as an ISO 8601 text in UTC. */
  readonly at: string;
  readonly action: 'change' | 'rollback';
  /** What its author saw change. */
  readonly diff: readonly PolicyDifference[];
  /** The snapshot that it made in the process of its author: `<version>.<revision>`. */
  readonly snapshot: string;
  /** All that is changed in this version, not only since the one before. */
  readonly overrides: PolicyOverrides;
}

/**
 * Where the versions of the policies are kept. Replace it by a provider of your own for this token: it has to see to it that
 * each number is committed once, whoever else uses the same store.
 */
export abstract class PolicyState {
  /** Emits when somebody else may have committed a version. */
  abstract readonly changed: Observable<void>;
  /** What goes wrong without failing anybody's call: a file that is no version, a folder that is gone. */
  abstract readonly faults: Observable<Error>;

  /** The versions that are kept, the oldest first. */
  abstract versions(): Promise<readonly PolicyVersion[]>;

  /**
   * Gives a number of its own to what `make` returns, and keeps it.
   *
   * @param after the version that it was made from: it gets a higher number.
   * @param signal aborted when the answer is not waited for any more: its caller was told that nothing is known of it, so that
   *   it should not be kept if that can still be helped.
   * @returns what was kept, or undefined when somebody else has committed a version after `after`.
   * @throws InferenceError when it must not be kept. @throws Error when it could not be kept.
   */
  abstract commit(
    after: number,
    make: (version: number) => PolicyVersion,
    signal?: AbortSignal,
  ): Promise<PolicyVersion | undefined>;

  /** Lets go of watchers and timers. */
  abstract close(): Promise<void>;
}

/** How many versions are kept: the present one and those that can be rolled back to. */
export const DEFAULT_HISTORY = 100;
