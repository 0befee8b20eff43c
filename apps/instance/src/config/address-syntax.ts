import { AddressList, parseEndpoint, parseKvAddress } from '@baton/remotes';

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
  return typeof value === 'string' && canBeRead(() => new AddressList([value]));
}

function canBeRead(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}
