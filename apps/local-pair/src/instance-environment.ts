import { DECODE_PORT, PREFILL_PORT } from './settings.js';

/** Both instances are reachable from this machine alone. */
export const HOST = '127.0.0.1';

/** How long an instance may go on with open streams after SIGTERM, in ms. */
export const DRAIN_TIMEOUT_MS = 30_000;

/**
 * The environment of the prefill instance.
 *
 * @param decodeUrl where the decode instance answers, or will answer.
 * @param key what the two know each other by.
 */
export function prefillEnvironment(
  env: NodeJS.ProcessEnv,
  port: number,
  decodeUrl: string,
  key: string,
): NodeJS.ProcessEnv {
  return {
    ...common(env, port, key),
    BATON_COORDINATION_DECODE_API_KEY: key,
    BATON_COORDINATION_CONNECTOR: 'embedded',
    BATON_COORDINATION_DECODE_ENDPOINTS: decodeUrl,
  };
}

/**
 * The environment of the decode instance.
 *
 * @param kvPeer the only KV side channel that it may read from, `host:port` or `host:*`.
 * @param key what the two know each other by.
 */
export function decodeEnvironment(
  env: NodeJS.ProcessEnv,
  port: number,
  kvPeer: string,
  key: string,
): NodeJS.ProcessEnv {
  return { ...common(env, port, key), BATON_KV_PEERS: kvPeer };
}

function common(env: NodeJS.ProcessEnv, port: number, key: string): NodeJS.ProcessEnv {
  const own = `pair:${key}`;
  const { [PREFILL_PORT]: _prefillPort, [DECODE_PORT]: _decodePort, ...rest } = env;
  return {
    // llama.cpp's threads spin while they wait: with more threads than cores the two would stand in each other's way.
    BATON_ENGINE_THREADS: '1',
    ...rest,
    BATON_SERVER_HOST: HOST,
    BATON_SERVER_PORT: String(port),
    BATON_SERVER_DRAIN_TIMEOUT_MS: String(DRAIN_TIMEOUT_MS),
    BATON_ENGINE_KIND: 'embedded',
    BATON_ENGINE_INSTANCES_ON_MACHINE: '2',
    BATON_KV_HOST: HOST,
    BATON_KV_PORT: '0',
    BATON_KV_API_KEY: key,
    BATON_SECURITY_PEER_KEYS: [rest['BATON_SECURITY_PEER_KEYS'], own].filter(Boolean).join(','),
  };
}
