import { notAllowed, type Fault } from './fault.js';
import type { InstanceConfig } from './instance-config.js';

const ROLES = ['prefill', 'decode'] as const;

/** What is wrong with settings because of settings in other sections; each fault names the setting to change. */
export function crossFaults({ engine, coordination }: InstanceConfig): Fault[] {
  if (engine.kind !== 'none') return [];
  const when = 'when engine.kind is none: such an instance computes nothing itself';
  const connector =
    coordination.connector === ''
      ? [{ at: 'coordination.connector', problem: notAllowed('', `the name of a connector ${when}`) }]
      : [];
  const pools = ROLES.filter((role) => coordination[role].endpoints.length === 0).map((role) => ({
    at: `coordination.${role}.endpoints`,
    problem: notAllowed([], `a list of at least one endpoint ${when}`),
  }));
  return [...connector, ...pools];
}
