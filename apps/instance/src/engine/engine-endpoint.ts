import type { EndpointOptions } from '@baton/remotes';
import type { EngineConfig } from '../config/instance-config.js';

/** The server beside this instance, as an endpoint. */
export function engineEndpoint(engine: EngineConfig): Exclude<EndpointOptions, string> {
  const { url, apiKey, kvAddress, dialect } = engine;
  return { url, apiKey: apiKey || undefined, kvAddress: kvAddress || undefined, dialect };
}
