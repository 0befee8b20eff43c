import { EmbeddedEngine, HttpEngine, PoolEngine, type Engine } from '@baton/engines';
import { poolEndpoints, type RemoteClientOptions } from '@baton/remotes';
import { endpointsOf } from '../config/endpoint-list.js';
import type { EngineConfig, InstanceConfig } from '../config/instance-config.js';
import { sideChannelAccess } from '../security/key-rings.js';
import { engineEndpoint } from './engine-endpoint.js';

/** Takes the warnings and errors of an engine. */
export type EngineLog = (level: 'warn' | 'error', message: string) => void;

/** The engine that the configuration names, not started yet. */
export function createEngine({ engine, kv, coordination, security }: InstanceConfig, log: EngineLog): Engine {
  const allowedNetworks = security.outboundNetworks;
  switch (engine.kind) {
    case 'http':
      return new HttpEngine({ ...engineEndpoint(engine), ...bounds(engine), allowedNetworks });
    case 'none': {
      const { prefill, decode } = coordination;
      return new PoolEngine({
        prefill: poolEndpoints(endpointsOf(prefill), prefill.dialect),
        decode: poolEndpoints(endpointsOf(decode), decode.dialect),
        ...bounds(engine),
        allowedNetworks,
      });
    }
    case 'embedded':
      return new EmbeddedEngine({
        ...engine,
        kv: { ...kv, allowedNetworks, access: sideChannelAccess(security) },
        log,
      });
  }
}

function bounds(engine: EngineConfig): RemoteClientOptions {
  const { connectTimeoutMs, headTimeoutMs, answerTimeoutMs, firstTokenTimeoutMs, idleTimeoutMs } = engine;
  const { totalTimeoutMs, maxEventBytes } = engine;
  return {
    ...{ connectTimeoutMs, headTimeoutMs, answerTimeoutMs, firstTokenTimeoutMs, idleTimeoutMs, totalTimeoutMs },
    maxEventBytes,
  };
}
