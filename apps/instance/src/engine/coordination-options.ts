import type { CoordinationOptions } from '@baton/coordination';
import { endpointsOf } from '../config/endpoint-list.js';
import type { InstanceConfig } from '../config/instance-config.js';
import { OWN_KEY } from '../security/own-key.js';
import { engineEndpoint } from './engine-endpoint.js';

/** What coordination needs to know of the configuration. */
export function coordinationOptions(config: InstanceConfig): CoordinationOptions {
  const { coordination, engine, kv, security, server } = config;
  const allowedNetworks = security.outboundNetworks;
  const { connector, retryBudgetPercent, retryBudgetPerSecond, leaseMs, prefill, decode, ...others } = coordination;
  const { policyState, policyStateDirectory, ...rest } = others;
  return {
    ...rest,
    connector: connector || undefined,
    prefill: { ...prefill, endpoints: endpointsOf(prefill), allowedNetworks },
    decode: { ...decode, endpoints: endpointsOf(decode), allowedNetworks },
    kvPeers: kv.peers,
    ...(kv.apiKey === '' ? {} : { kvApiKey: kv.apiKey }),
    ...(leaseMs === 0 ? {} : { leaseMs }),
    local: {
      isAvailable: engine.kind !== 'none',
      ...(engine.kind === 'embedded' ? { kvApiKey: OWN_KEY } : {}),
      // The embedded engine knows its own address as well.
      checksAddresses: engine.kind === 'embedded',
      ...(engine.kind === 'http' ? { endpoint: engineEndpoint(engine) } : {}),
    },
    policyState:
      policyState === 'file' ? { kind: policyState, directory: policyStateDirectory } : { kind: policyState },
    retryBudget: { percent: retryBudgetPercent, perSecond: retryBudgetPerSecond },
    admission: {
      maxInFlight: server.maxInFlight,
      maxWaiting: server.maxWaiting,
      timeoutMs: server.admissionTimeoutMs,
    },
    totalTimeoutMs: server.totalTimeoutMs,
    stallTimeoutMs: server.stallTimeoutMs,
  };
}
