import { InferenceError } from '@baton/inference';
import type { ManagerSettings } from '../dispatch/manager-settings.js';
import {
  conditionFault,
  headerName,
  isMap,
  memberFault,
  type FieldCheck,
  type MemberFault,
} from './condition-fields.js';
import { frozenCopy } from './frozen-copy.js';
import type { PolicyChange } from './manager-policy.js';

const MAX_CHANGES = 1_024;
const MAX_NAME = 500;

const flag: FieldCheck = { allowed: 'true or false', isAllowed: (value) => typeof value === 'boolean' };

/** All fields but the condition, which has a check of its own. */
const FIELDS: Readonly<Record<string, FieldCheck>> = {
  enabled: flag,
  priority: { allowed: 'a whole number', isAllowed: Number.isSafeInteger },
  canaryPercent: {
    allowed: 'a number from 0 to 100',
    isAllowed: (value) => typeof value === 'number' && value >= 0 && value <= 100,
  },
  canaryHeader: headerName,
  shadow: flag,
};

const NULLABLE: Readonly<Record<string, FieldCheck>> = Object.fromEntries(
  Object.entries(FIELDS).map(([name, { allowed, isAllowed }]) => [
    name,
    { allowed: `${allowed}, or null`, isAllowed: (value: unknown) => value === null || isAllowed(value) },
  ]),
);

/** What is wrong with a list of changes or settings: the manager, where it is named, and the member. */
export interface PolicyFault extends MemberFault {
  readonly manager: string;
}

/**
 * Changes of policies out of what somebody sent.
 *
 * @throws InferenceError 400 `invalid_policy` that names the manager and the field.
 */
export function readPolicyChanges(value: unknown): readonly PolicyChange[] {
  const fault = listFault(value, NULLABLE, (when) => when !== null);
  if (fault !== undefined) throw invalidPolicy(fault);
  // Checked member by member above.
  return frozenCopy(value as readonly PolicyChange[]);
}

/** @throws Error that names the manager and the setting, so that the application does not start. */
export function assertSettings(settings: readonly ManagerSettings[]): void {
  if (settings.length === 0) return;
  const twice = settings.find(({ name }, index) => settings.findIndex((other) => other.name === name) < index);
  if (twice !== undefined) {
    throw new Error(`There are two settings for the manager "${twice.name}". Keep one of them.`);
  }
  const fault = listFault(settings, FIELDS, () => true);
  if (fault !== undefined) throw new Error(`Setting ${fault.at} of the manager "${fault.manager}" ${fault.problem}.`);
}

/** A change that cannot be made. */
export function invalidPolicy({ manager, at, problem }: PolicyFault): InferenceError {
  const subject = manager === '' ? '' : `Manager "${manager}": `;
  return new InferenceError(`${subject}${at} ${problem}.`, { status: 400, code: 'invalid_policy', param: at });
}

function listFault(
  list: unknown,
  fields: Readonly<Record<string, FieldCheck>>,
  isChecked: (when: unknown) => boolean,
): PolicyFault | undefined {
  const at = 'managers';
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_CHANGES) {
    return { manager: '', at, problem: `must be a list of 1 to ${MAX_CHANGES} changes` };
  }
  const names = new Set<string>();
  for (const [index, item] of (list as readonly unknown[]).entries()) {
    const fault = itemFault(item, `${at}[${index}]`, names, fields, isChecked);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function itemFault(
  item: unknown,
  at: string,
  names: Set<string>,
  fields: Readonly<Record<string, FieldCheck>>,
  isChecked: (when: unknown) => boolean,
): PolicyFault | undefined {
  if (!isMap(item)) return { manager: '', at, problem: 'must be a map with the name of a manager' };
  const { name, disaggregateWhen, ...simple } = item;
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME) {
    return { manager: '', at: `${at}.name`, problem: 'must be the name of a manager' };
  }
  if (names.has(name)) return { manager: name, at: `${at}.name`, problem: 'is listed twice' };
  names.add(name);
  const fault =
    memberFault(simple, fields, at, 'disaggregateWhen') ??
    (disaggregateWhen !== undefined && isChecked(disaggregateWhen)
      ? conditionFault(disaggregateWhen, `${at}.disaggregateWhen`)
      : undefined);
  return fault && { manager: name, ...fault };
}
