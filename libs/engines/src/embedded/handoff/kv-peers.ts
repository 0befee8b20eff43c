import { InferenceError } from '@baton/inference';
import { readHost, type AddressList } from '@baton/remotes';

/**
 * Only side channels on this list are ever dialled, since a request names the address.
 *
 * @throws InferenceError 403 `address_not_allowed`.
 */
export function assertPeerAllowed(peers: AddressList, host: string, port: number): void {
  const read = readHost(host);
  if (read !== undefined && peers.allows(read, port)) return;
  throw new InferenceError('The handoff names an address that is not allowed here.', {
    status: 403,
    param: 'kv_transfer_params.remote_host',
    code: 'address_not_allowed',
  });
}

/** The host of a peer. */
export function hostOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':'));
}
