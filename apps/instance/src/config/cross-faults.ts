import { digestOfKey } from '@baton/inference';
import { notAllowed, type Fault } from './fault.js';
import type { InstanceConfig } from './instance-config.js';
import { partsOfKey } from './key-list.js';
import { isSection } from './section.js';

const KEY_LISTS = ['clientKeys', 'peerKeys', 'adminKeys'] as const;
const ROLES = ['prefill', 'decode'] as const;

/** A setting whose value, or a part of it, is refused. */
export interface Refusal extends Fault {
  readonly key: string;
}

/** What is wrong with settings because of settings in other sections; each names the setting to change. */
export function crossFaults(config: InstanceConfig): Refusal[] {
  return [...withoutEngine(config), ...withoutKvAddress(config), ...keyTwins(config)];
}

function withoutEngine({ engine, coordination }: InstanceConfig): Refusal[] {
  if (engine.kind !== 'none') return [];
  const when = 'when engine.kind is none: such an instance computes nothing itself';
  const connector =
    coordination.connector === ''
      ? [{ key: 'coordination.connector', at: '', problem: notAllowed('', `the name of a connector ${when}`) }]
      : [];
  const pools = ROLES.filter((role) => coordination[role].endpoints.length === 0).map((role) => ({
    key: `coordination.${role}.endpoints`,
    at: '',
    problem: notAllowed([], `a list of at least one endpoint ${when}`),
  }));
  return [...connector, ...pools];
}

/** Connectors that put KV addresses on the wire and have no default for them. */
const ADDRESSED = ['p2p-nccl'];

function withoutKvAddress({ engine, coordination }: InstanceConfig): Refusal[] {
  const { connector } = coordination;
  if (!ADDRESSED.includes(connector)) return [];
  const allowed = `host:port when coordination.connector is ${connector}, which has no default for it`;
  const own =
    engine.kind === 'http' && engine.kvAddress === ''
      ? [{ key: 'engine.kvAddress', at: '', problem: notAllowed('', allowed) }]
      : [];
  const others = ROLES.flatMap((role) => {
    // Not yet known to be a list: this is asked before any fault is told.
    const endpoints: unknown = coordination[role].endpoints;
    if (!Array.isArray(endpoints)) return [];
    return endpoints.flatMap((endpoint: unknown, index) =>
      isSection(endpoint) && Reflect.get(endpoint, 'kvAddress') !== undefined
        ? []
        : [
            {
              key: `coordination.${role}.endpoints`,
              at: `[${index}].kvAddress`,
              problem: notAllowed(undefined, allowed),
            },
          ],
    );
  });
  return [...own, ...others];
}

/** A label must tell who called, and a key what its holder may do. */
function keyTwins({ security }: InstanceConfig): Refusal[] {
  const labels = new Set<unknown>();
  const keys = new Set<string>();
  return KEY_LISTS.flatMap((list) => {
    // Not yet known to be a list: this is asked before any fault is told.
    const items: unknown = security[list];
    if (!Array.isArray(items)) return [];
    return items.flatMap((item: unknown, index) => {
      const { label, key, sha256 } = partsOfKey(item) ?? {};
      const digest = typeof key === 'string' ? digestOfKey(key) : String(sha256);
      const isTwin = labels.has(label) || keys.has(digest);
      labels.add(label);
      keys.add(digest);
      return isTwin
        ? [{ key: `security.${list}`, at: `[${index}]`, problem: ': its label or its key is that of another key' }]
        : [];
    });
  });
}
