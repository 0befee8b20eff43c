import { readHost } from './addresses/host.js';

/**
 * Where the KV transfer of an engine listens: SGLang's and Mooncake's bootstrap server, P2pNccl's zmq socket, LMCache's
 * receiver. Not its HTTP address, and not NIXL's side channel, which P names itself.
 */
export interface KvAddress {
  readonly host: string;
  /** One, or several where a protocol has several (LMCache: init, alloc). */
  readonly ports: readonly number[];
}

const KV_ADDRESS = /^(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?):(\d{1,5}(?:,\d{1,5})*)$/i;

/**
 * Reads `host:port` or `host:port,port`.
 *
 * @throws Error naming the value when it is neither.
 */
export function parseKvAddress(text: string): KvAddress {
  const [, host, list] = KV_ADDRESS.exec(text) ?? [];
  const ports = (list ?? '').split(',').map(Number);
  if (readHost(host) === undefined || host === undefined || ports.some((port) => port < 1 || port > 65_535)) {
    throw new Error(`KV address "${text}" must be host:port or host:port,port.`);
  }
  return { host, ports };
}
