import type { EndpointPicker } from '@baton/remotes';
import { nameOf } from '../host-of.js';
import type { ConformanceReport } from '../report.js';
import { runChecks } from '../run-checks.js';
import type { ConformanceSubject } from '../subject.js';
import { PICK_CHECKS } from './pick-checks.js';
import { PickerChecking } from './picker-bench.js';
import type { PickerConformanceOptions } from './picker-options.js';

/**
 * Checks that an endpoint picker keeps to its contract. Never fails because of the picker: what is wrong is in the report.
 *
 * @param subject a class, or a name and a function that makes it for a host.
 */
export async function conformPicker(
  subject: ConformanceSubject<EndpointPicker>,
  options: PickerConformanceOptions = {},
): Promise<ConformanceReport> {
  const checkingOf = (time: PickerChecking['time']): PickerChecking => new PickerChecking(time, subject, options);
  return runChecks(`picker ${nameOf(subject)}`, PICK_CHECKS, checkingOf);
}
