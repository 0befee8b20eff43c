import type { CoordinationOptions } from '@baton/coordination';
import type { InstanceConfig } from '../config/instance-config.js';
import { engineEndpoint } from './engine-endpoint.js';

/** What coordination needs to know of the configuration. */
export function coordinationOptions({ coordination, engine, kv, server }: InstanceConfig): CoordinationOptions {
  const { connector, retryBudgetPercent, retryBudgetPerSecond, leaseMs, ...rest } = coordination;
  return {
    ...rest,
    connector: connector || undefined,
    kvPeers: kv.peers,
    ...(leaseMs === 0 ? {} : { leaseMs }),
    local: {
      isAvailable: engine.kind !== 'none',
      ...(engine.kind === 'http' ? { endpoint: engineEndpoint(engine) } : {}),
    },
    retryBudget: { percent: retryBudgetPercent, perSecond: retryBudgetPerSecond },
    stallTimeoutMs: server.stallTimeoutMs,
  };
}
