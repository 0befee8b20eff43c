import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { AddressNotAllowedError, type NetworkPolicy } from './network-policy.js';

/** Resolves all addresses of a name. */
export type Resolve = (
  hostname: string,
  options: { readonly all: true; readonly family?: number; readonly hints?: number },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * A `lookup` for sockets that gives only addresses that the policy allows. The socket connects to what it was given here, so
 * a name that resolves differently the next time (DNS rebinding) gains nothing.
 *
 * @param found told of the addresses that a name was found at.
 */
export function guardedLookup(
  policy: NetworkPolicy,
  resolve: Resolve = systemLookup,
  found?: (hostname: string, addresses: readonly string[]) => void,
): LookupFunction {
  return (hostname, options, done) => {
    const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : options.family;
    resolve(hostname, { all: true, family, hints: options.hints }, (error, addresses) => {
      if (error !== null) return done(error, '');
      const allowed = addresses.filter(({ address }) => policy.allows(address, hostname));
      const [first] = allowed;
      if (first === undefined) return done(new AddressNotAllowedError(hostname), '');
      found?.(
        hostname,
        allowed.map(({ address }) => address),
      );
      if (options.all === true) done(null, allowed);
      else done(null, first.address, first.family);
    });
  };
}
