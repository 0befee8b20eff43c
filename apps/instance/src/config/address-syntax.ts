import { parseEndpoint, parseKvAddress } from '@baton/remotes';

const KV_PEER = /^(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?):(?:\*|\d{1,5})$/i;

/** Whether `value` is the origin of a server, as `@baton/remotes` reads it. */
export function isEndpointUrl(value: unknown): boolean {
  return typeof value === 'string' && canBeRead(() => parseEndpoint(value));
}

/** Whether `value` says where a KV transfer listens, as `@baton/remotes` reads it: `host:port` or `host:port,port`. */
export function isKvAddress(value: unknown): boolean {
  return typeof value === 'string' && canBeRead(() => parseKvAddress(value));
}

/** Whether `value` names a KV side channel: `host:port`, or `host:*` for every port of a host. */
export function isKvPeer(value: unknown): boolean {
  if (typeof value !== 'string' || !KV_PEER.test(value)) return false;
  const port = value.slice(value.lastIndexOf(':') + 1);
  return port === '*' || (Number(port) >= 1 && Number(port) <= 65_535);
}

function canBeRead(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}
