import type { KvConnector } from '@baton/coordination';
import { nameOf } from '../host-of.js';
import type { ConformanceReport } from '../report.js';
import { runChecks } from '../run-checks.js';
import type { ConformanceSubject } from '../subject.js';
import { ConnectorChecking } from './connector-bench.js';
import type { ConnectorConformanceOptions } from './connector-options.js';
import { LEG_CHECKS } from './leg-checks.js';
import { PLAN_CHECKS } from './plan-checks.js';
import { RELEASE_CHECKS } from './release-checks.js';

const CHECKS = [...LEG_CHECKS, ...RELEASE_CHECKS, ...PLAN_CHECKS];

/**
 * Checks that a KV connector keeps to its contract: its legs, what it reads in P's answers, how it frees KV, and that every
 * phase of its cancellation plan can be carried out. Never fails because of the connector: what is wrong is in the report.
 *
 * @param subject a class, or a name and a function that makes it for a host.
 */
export async function conformConnector(
  subject: ConformanceSubject<KvConnector>,
  options: ConnectorConformanceOptions = {},
): Promise<ConformanceReport> {
  const checkingOf = (time: ConnectorChecking['time']): ConnectorChecking =>
    new ConnectorChecking(time, subject, options);
  return runChecks(`connector ${nameOf(subject)}`, CHECKS, checkingOf);
}
