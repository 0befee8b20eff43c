import { InferenceError } from '@baton/inference';

/**
 * Only side channels on this list are ever dialled, since a request names the address.
 *
 * @param peers each `host:port`, or `host:*` for any port.
 * @throws InferenceError 403 `kv_peer_not_allowed`.
 */
export function assertPeerAllowed(peers: readonly string[], host: string, port: number): void {
  const bare = bareHost(host);
  const isAllowed = peers.some((peer) => {
    const colon = peer.lastIndexOf(':');
    const wanted = peer.slice(colon + 1);
    return bareHost(peer.slice(0, colon)) === bare && (wanted === '*' || wanted === String(port));
  });
  if (isAllowed) return;
  throw new InferenceError(`The KV side channel ${host}:${port} is not on this instance's list of peers.`, {
    status: 403,
    param: 'kv_transfer_params.remote_host',
    code: 'kv_peer_not_allowed',
  });
}

/** The host without the brackets of an IPv6 address, in lower case. */
function bareHost(host: string): string {
  return host.replace(/^\[|\]$/g, '').toLowerCase();
}
