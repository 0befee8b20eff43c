import { isDeepStrictEqual } from 'node:util';
import { POLICY_FIELDS, type ManagerPolicy, type PolicyOverrides } from './manager-policy.js';
import type { PolicyDifference, PolicyVersion } from './policy-state.js';

/** A change of the policies, for logs and the history. */
export type PolicyAudit = Omit<PolicyVersion, 'overrides'>;

/** A change that has come in force in this process. */
export interface NoticedPolicyAudit extends PolicyAudit {
  /** Whether this process made it; false when it came from another process by way of the shared state. */
  readonly isOwn: boolean;
}

/** What is in force for the manager `name` under `overrides`; of one that is not there, what would be. */
export type PolicyReader = (name: string, overrides: PolicyOverrides) => Partial<ManagerPolicy>;

/** The fields that are changed differently in `after` than in `before`, with what is in force by that. */
export function differences(
  before: PolicyOverrides,
  after: PolicyOverrides,
  read: PolicyReader,
): readonly PolicyDifference[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names.flatMap((manager) => {
    const [from, to] = [read(manager, before), read(manager, after)];
    return POLICY_FIELDS.filter(
      (field) => !isDeepStrictEqual(before.get(manager)?.[field], after.get(manager)?.[field]),
    ).map((field) => ({ manager, field, from: from[field] ?? null, to: to[field] ?? null }));
  });
}

/** What a history or a log says of a version. */
export function auditOf({ overrides: _overrides, ...audit }: PolicyVersion): PolicyAudit {
  return audit;
}
