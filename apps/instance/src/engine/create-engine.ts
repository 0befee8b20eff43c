import { EmbeddedEngine, HttpEngine, PoolEngine, type Engine } from '@baton/engines';
import { poolEndpoints, type RemoteClientOptions } from '@baton/remotes';
import type { EngineConfig, InstanceConfig } from '../config/instance-config.js';
import { engineEndpoint } from './engine-endpoint.js';

/** Takes the warnings and errors of an engine. */
export type EngineLog = (level: 'warn' | 'error', message: string) => void;

/** The engine that the configuration names, not started yet. */
export function createEngine({ engine, kv, coordination }: InstanceConfig, log: EngineLog): Engine {
  switch (engine.kind) {
    case 'http':
      return new HttpEngine({ ...engineEndpoint(engine), ...bounds(engine) });
    case 'none': {
      const { prefill, decode } = coordination;
      return new PoolEngine({
        prefill: poolEndpoints(prefill.endpoints, prefill.dialect),
        decode: poolEndpoints(decode.endpoints, decode.dialect),
        ...bounds(engine),
      });
    }
    case 'embedded':
      return new EmbeddedEngine({ ...engine, kv, log });
  }
}

function bounds(engine: EngineConfig): RemoteClientOptions {
  const { connectTimeoutMs, headTimeoutMs, answerTimeoutMs, idleTimeoutMs, maxEventBytes } = engine;
  return { connectTimeoutMs, headTimeoutMs, answerTimeoutMs, idleTimeoutMs, maxEventBytes };
}
