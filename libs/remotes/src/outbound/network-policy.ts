import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { readHost } from '../addresses/host.js';

/** Who may be dialled. */
export interface NetworkPolicyOptions {
  /** Networks that addresses have to be in, as CIDR (`10.0.0.0/8`, `fd00::/8`). Default: all. */
  readonly allowedNetworks?: readonly string[];
  /**
   * Hosts as configured. An address that is never dialled otherwise (link-local, a cloud's metadata service) is when it stands
   * here literally.
   */
  readonly configuredHosts?: readonly string[];
}

/**
 * Nothing that serves models listens there: this host itself by its unspecified address, link-local addresses, multicast, and
 * the metadata services of clouds, which give out credentials to whoever asks.
 */
const NEVER = [
  ...['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '255.255.255.255/32'],
  ...['100.100.100.200/32', '168.63.129.16/32', '192.0.0.192/32'],
  ...['::/128', 'fe80::/10', 'ff00::/8', 'fd00:ec2::254/128', 'fd20:ce::254/128'],
];

/** An address that may not be dialled. Its `code` tells it from failures of the network. */
export class AddressNotAllowedError extends Error {
  override readonly name = 'AddressNotAllowedError';
  readonly code = 'ERR_ADDRESS_NOT_ALLOWED';

  constructor(host: string) {
    super(`${host} is not an address that may be dialled.`);
  }
}

const REFUSED = listOf(NEVER);

/** Decides of each address that is about to be dialled, after names are resolved: a name may resolve to anything. */
export class NetworkPolicy {
  readonly #allowed: BlockList | undefined;
  readonly #literals: ReadonlySet<string>;

  /** @throws Error naming the network that cannot be read. */
  constructor({ allowedNetworks = [], configuredHosts = [] }: NetworkPolicyOptions = {}) {
    this.#allowed = allowedNetworks.length === 0 ? undefined : listOf(allowedNetworks);
    this.#literals = new Set(configuredHosts.map(bare).filter((host) => isIP(host) !== 0));
  }

  /**
   * Whether `address` may be dialled.
   *
   * @param host the name that it was resolved from, or the address itself.
   */
  allows(address: string, host: string): boolean {
    const ip = unmapped(bare(address));
    const family = isIP(ip) === 6 ? 'ipv6' : 'ipv4';
    if (isIP(ip) === 0 || (this.#allowed !== undefined && !this.#allowed.check(ip, family))) return false;
    return !REFUSED.check(ip, family) || (isIP(bare(host)) !== 0 && this.#literals.has(bare(host)));
  }

  /** Whether `host` is an address, which nobody looks up any more, that may not be dialled. */
  refusesLiteral(host: string): boolean {
    return isIP(bare(host)) !== 0 && !this.allows(host, host);
  }
}

/**
 * Reads networks.
 *
 * @throws Error naming the one that is no CIDR.
 */
function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const read = readNetwork(network);
    if (read === undefined) throw new Error(`Network "${network}" must be a CIDR such as 10.0.0.0/8 or fd00::/8.`);
    list.addSubnet(read.address, read.prefix, read.family);
  }
  return list;
}

/** Reads `address/prefix`; undefined when it is none. */
export function readNetwork(
  text: string,
): { readonly address: string; readonly prefix: number; readonly family: 'ipv4' | 'ipv6' } | undefined {
  const [, address = '', digits] = /^([0-9a-f.:]+)\/(\d|[1-9]\d{1,2})$/i.exec(text) ?? [];
  const prefix = Number(digits);
  if (isIPv4(address)) return prefix <= 32 ? { address, prefix, family: 'ipv4' } : undefined;
  return isIPv6(address) && prefix <= 128 ? { address, prefix, family: 'ipv6' } : undefined;
}

/** Without brackets and without the zone of a link-local address, in one spelling. */
function bare(host: string): string {
  const plain = host.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  return readHost(plain)?.replace(/^\[|\]$/g, '') ?? plain;
}

/** The IPv4 address that an IPv6 address stands for: mapped (`::ffff:0:0/96`), or of NAT64 (`64:ff9b::/96`). */
function unmapped(address: string): string {
  const [, high, low] = /^(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address) ?? [];
  if (high === undefined || low === undefined) return address;
  const parts = [high, low].map((group) => Number.parseInt(group, 16));
  return parts.flatMap((part) => [part >> 8, part & 255]).join('.');
}
