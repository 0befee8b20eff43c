import type { DisaggregateWhen, ManagerSettings } from '../dispatch/manager-settings.js';

/** What is in force for one manager. */
export interface ManagerPolicy {
  /** False: it is not asked. Default true. */
  readonly enabled: boolean;
  /** A lower number is asked first; equal numbers by name. Default 0. */
  readonly priority: number;
  /** It is asked only for requests of which all of this holds. Default: for every request. */
  readonly disaggregateWhen?: DisaggregateWhen;
  /** The share of those requests that it is asked for, 0 to 100, with fractions. Default 100. */
  readonly canaryPercent: number;
  /**
   * The client's header whose value decides whether a request belongs to that share: one value always gets the same
   * answer. Default, and for requests without that header: the id of the request decides.
   */
  readonly canaryHeader?: string;
  /** True: it is asked and what it says is written down, but the next manager answers. Default false. */
  readonly shadow: boolean;
}

/** The fields of a policy, in the order in which differences are told. */
export const POLICY_FIELDS = [
  'enabled',
  'priority',
  'disaggregateWhen',
  'canaryPercent',
  'canaryHeader',
  'shadow',
] as const satisfies readonly (keyof ManagerPolicy)[];

/** A field of a policy. */
export type PolicyField = (typeof POLICY_FIELDS)[number];

/** What was changed of one manager's policy at run time. What is not named stays as decorator and configuration say. */
export type PolicyOverride = Partial<ManagerPolicy>;

/** What was changed at run time, by name of the manager. */
export type PolicyOverrides = ReadonlyMap<string, PolicyOverride>;

/** A change of one manager's policy. What is left out stays; null resets a field to what decorator and configuration say. */
export type PolicyChange = {
  /** The name that the manager is registered under. */
  readonly name: string;
} & { readonly [Field in PolicyField]?: ManagerPolicy[Field] | null };

/** What holds for a manager of which nobody says anything. */
export const DEFAULT_POLICY: ManagerPolicy = {
  enabled: true,
  priority: 0,
  disaggregateWhen: undefined,
  canaryPercent: 100,
  canaryHeader: undefined,
  shadow: false,
};

/**
 * What is in force: what was changed at run time comes before the configuration, that before what the manager's author
 * proposes, and that before {@link DEFAULT_POLICY}.
 */
export function policyOf(
  proposed: Pick<PolicyOverride, 'enabled' | 'priority'>,
  settings: Omit<ManagerSettings, 'name'> | undefined,
  override: PolicyOverride | undefined,
): ManagerPolicy {
  const said: readonly (PolicyOverride | undefined)[] = [override, settings, proposed];
  const first = <Field extends PolicyField>(field: Field): ManagerPolicy[Field] | undefined =>
    said.find((policy) => policy?.[field] !== undefined)?.[field];
  return {
    enabled: first('enabled') ?? DEFAULT_POLICY.enabled,
    priority: first('priority') ?? DEFAULT_POLICY.priority,
    disaggregateWhen: first('disaggregateWhen'),
    canaryPercent: first('canaryPercent') ?? DEFAULT_POLICY.canaryPercent,
    canaryHeader: first('canaryHeader'),
    shadow: first('shadow') ?? DEFAULT_POLICY.shadow,
  };
}

/** `overrides` after `changes`: a manager of which nothing is changed any more is not in it. */
export function changed(overrides: PolicyOverrides, changes: readonly PolicyChange[]): PolicyOverrides {
  const next = new Map(overrides);
  for (const { name, ...fields } of changes) {
    const merged: Readonly<Record<string, unknown>> = { ...next.get(name), ...fields };
    const said = Object.entries(merged).filter(([, value]) => value !== null && value !== undefined);
    if (said.length === 0) next.delete(name);
    else next.set(name, Object.fromEntries(said));
  }
  return next;
}
