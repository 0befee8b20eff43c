import { EmbeddedEngine, HttpEngine, type Engine } from '@baton/engines';
import type { InstanceConfig } from '../config/instance-config.js';

/** Takes the warnings and errors of an engine. */
export type EngineLog = (level: 'warn' | 'error', message: string) => void;

/** The engine that the configuration names, not started yet. */
export function createEngine({ engine, kv }: InstanceConfig, log: EngineLog): Engine {
  switch (engine.kind) {
    case 'http': {
      const { url, apiKey, headTimeoutMs, answerTimeoutMs, idleTimeoutMs } = engine;
      return new HttpEngine({ url, apiKey: apiKey || undefined, headTimeoutMs, answerTimeoutMs, idleTimeoutMs });
    }
    case 'embedded':
      return new EmbeddedEngine({ ...engine, kv, log });
  }
}
