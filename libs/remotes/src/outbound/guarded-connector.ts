import { buildConnector } from 'undici';
import { guardedLookup, type Resolve } from './guarded-lookup.js';
import { AddressNotAllowedError, type NetworkPolicy } from './network-policy.js';

/** How sockets of an undici agent are opened. */
export interface GuardedConnectorOptions {
  /** To open a connection, in milliseconds. */
  readonly timeoutMs: number;
  /** Resolves names. Default: the system. */
  readonly resolve?: Resolve;
  /** Told of the addresses that a name was found at. */
  readonly found?: (hostname: string, addresses: readonly string[]) => void;
}

/**
 * The `connect` of an undici `Agent`: opens a socket only to addresses that the policy allows. Fails with an
 * {@link AddressNotAllowedError} otherwise, before a packet is sent.
 */
export function guardedConnector(
  policy: NetworkPolicy,
  { timeoutMs, resolve, found }: GuardedConnectorOptions,
): buildConnector.connector {
  const connect = buildConnector({ timeout: timeoutMs, lookup: guardedLookup(policy, resolve, found) });
  return (target, done) => {
    if (policy.refusesLiteral(target.hostname)) return done(new AddressNotAllowedError(target.hostname), null);
    connect(target, done);
  };
}
