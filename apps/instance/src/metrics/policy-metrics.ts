import { PolicyControl, type ManagerCounters, type NoticedPolicyAudit, type PolicySnapshot } from '@baton/coordination';
import type { EngineMetric } from '@baton/engines';
import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Subscription, type Observable } from 'rxjs';
import { POLICY_ACTIONS } from './known-labels.js';
import { LabelCounts, single } from './label-counts.js';

/** What is read of the control plane. */
export interface PolicySource {
  readonly changes: Observable<Pick<NoticedPolicyAudit, 'action'>>;
  current(): Pick<PolicySnapshot, 'version'> & {
    readonly managers: readonly Pick<PolicySnapshot['managers'][number], 'name' | 'counters'>[];
  };
}

/** What managers say, as a label. `asked` is the sum of some of the others. */
const VERDICTS: Readonly<Record<Exclude<keyof ManagerCounters, 'asked'>, string>> = {
  took: 'took',
  declined: 'declined',
  refused: 'refused',
  failed: 'failed',
  skipped: 'skipped',
  shadowTook: 'shadow_took',
  shadowDeclined: 'shadow_declined',
  shadowFailed: 'shadow_failed',
};

/** Policies: which are in force at the moment of a scrape, how often they changed, and what managers say. */
@Injectable()
export class PolicyMetrics implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #subscription = new Subscription();
  readonly #changes = new LabelCounts(
    'policy_changes_total',
    'Changes of policies that came in force here, by what was done.',
    'action',
    POLICY_ACTIONS,
  );

  constructor(@Inject(PolicyControl) private readonly policies: PolicySource) {}

  /** What was kept from before the start is no change. */
  onApplicationBootstrap(): void {
    this.#subscription.add(this.policies.changes.subscribe(({ action }) => this.#changes.inc(action)));
  }

  onApplicationShutdown(): void {
    this.#subscription.unsubscribe();
  }

  snapshot(): EngineMetric[] {
    const { version, managers } = this.policies.current();
    const samples = managers.flatMap(({ name, counters }) =>
      Object.entries(VERDICTS).map(([counter, verdict]) => ({
        labels: { manager: name, verdict },
        value: counters[counter as keyof typeof VERDICTS],
      })),
    );
    return [
      single('policy_version', 'The version of the policies that are in force.', 'gauge', version),
      this.#changes.metric,
      { name: 'manager_verdicts_total', help: 'What managers said of requests.', type: 'counter', samples },
    ];
  }
}
