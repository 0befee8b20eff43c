import { buildConnector } from 'undici';
import { guardedLookup, type Resolve } from './guarded-lookup.js';
import { AddressNotAllowedError, type NetworkPolicy } from './network-policy.js';
import { NotConnectedError } from './not-connected.error.js';

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
 * The `connect` of an undici `Agent`: opens a socket only to addresses that the policy allows. Whatever
 * fails, fails with a {@link NotConnectedError}; its cause is an {@link AddressNotAllowedError} when no packet was sent.
 */
export function guardedConnector(
  policy: NetworkPolicy,
  { timeoutMs, resolve, found }: GuardedConnectorOptions,
): buildConnector.connector {
  const connect = buildConnector({ timeout: timeoutMs, lookup: guardedLookup(policy, resolve, found) });
  return (target, done) => {
    const failed = (error: Error): void => done(new NotConnectedError(error), null);
    if (policy.refusesLiteral(target.hostname)) return failed(new AddressNotAllowedError(target.hostname));
    connect(target, (...[error, socket]) => (error === null ? done(null, socket) : failed(error)));
  };
}
