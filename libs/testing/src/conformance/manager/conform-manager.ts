import type { DisaggregatedRequestManager } from '@baton/coordination';
import { nameOf } from '../host-of.js';
import type { ConformanceReport } from '../report.js';
import { runChecks } from '../run-checks.js';
import type { ConformanceSubject } from '../subject.js';
import { ANSWER_CHECKS } from './answer-checks.js';
import { ASKING_CHECKS } from './asking-checks.js';
import { FAILURE_CHECKS } from './failure-checks.js';
import { LEAVING_CHECKS } from './leaving-checks.js';
import { ManagerChecking } from './manager-bench.js';
import type { ManagerConformanceOptions } from './manager-options.js';

const CHECKS = [...ASKING_CHECKS, ...ANSWER_CHECKS, ...LEAVING_CHECKS, ...FAILURE_CHECKS];

/**
 * Checks that a manager keeps to its contract: in a host with the real split, ledger and pools, whose instances are doubles, in
 * virtual time. Never fails because of the manager: what is wrong is in the report.
 *
 * @param subject a class, or a name and a function that makes it for a host.
 */
export async function conformManager(
  subject: ConformanceSubject<DisaggregatedRequestManager>,
  options: ManagerConformanceOptions = {},
): Promise<ConformanceReport> {
  const checkingOf = (time: ManagerChecking['time']): ManagerChecking => new ManagerChecking(time, subject, options);
  return runChecks(`manager ${nameOf(subject)}`, CHECKS, checkingOf);
}
