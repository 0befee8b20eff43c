import type { PolicyAudit, PolicyOfManager, PolicySnapshot } from '@baton/coordination';
import type { ManagerState, Policies, PolicyHistory, PolicyHistoryEntry } from '../dto/admin/policy-answers.js';

/** A snapshot as operators see it. */
export function toPolicies({ version, id, managers, absent }: PolicySnapshot): Policies {
  return { version, snapshot: id, managers: managers.map(toManagerState), absent: [...absent] };
}

/** The changes that are kept, the newest first. */
export function toHistory(versions: readonly PolicyAudit[]): PolicyHistory {
  return { history: versions.map(toHistoryEntry) };
}

function toManagerState(manager: PolicyOfManager): ManagerState {
  const { name, origin, enabled, isSwitchedOff, position, priority, disaggregateWhen, canaryPercent, canaryHeader } =
    manager;
  return {
    ...{ name, origin, enabled, isSwitchedOff, position, priority, canaryPercent },
    disaggregateWhen: disaggregateWhen ?? null,
    canaryHeader: canaryHeader ?? null,
    shadow: manager.shadow,
    counters: { ...manager.counters },
  };
}

function toHistoryEntry({ version, snapshot, at, who, reason, action, diff }: PolicyAudit): PolicyHistoryEntry {
  return { version, snapshot, at, who, reason: reason ?? null, action, diff: [...diff] };
}
