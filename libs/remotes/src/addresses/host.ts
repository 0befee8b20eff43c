import { isIPv4, isIPv6 } from 'node:net';

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** What resolvers and URL parsers read as a number of an IPv4 address: `127.1`, `2130706433`, `0x7f.0.0.1`. */
const NUMBER = /^(?:\d+|0x[0-9a-f]*)$/;
const LONGEST_NAME = 253;

/**
 * Reads a host strictly: an IPv4 address in four decimal parts, an IPv6 address (brackets may be left out), or a DNS name of
 * ASCII letters. Nothing is repaired: what several readers could read differently is no host.
 *
 * @returns one spelling for each host: lower case, IPv6 shortened and in brackets; undefined when it is none.
 */
export function readHost(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (isIPv4(value)) return value;
  const bare = /^\[([^\]]*)\]$/.exec(value)?.[1] ?? value;
  if (isIPv6(bare)) return bare.includes('%') ? undefined : new URL(`http://[${bare}]`).hostname;
  return isName(value.toLowerCase()) && /^[\x21-\x7e]+$/.test(value) ? value.toLowerCase() : undefined;
}

function isName(name: string): boolean {
  const labels = name.split('.');
  return name.length <= LONGEST_NAME && labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels.at(-1) ?? '');
}

/** Reads a TCP port: an integer from 1 to 65535, or exactly its decimal digits. Undefined for anything else. */
export function readPort(value: unknown): number | undefined {
  const port = typeof value === 'string' && /^[1-9]\d{0,4}$/.test(value) ? Number(value) : value;
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535 ? port : undefined;
}

/** Where something listens. */
export interface HostPort {
  /** As {@link readHost} gives it. */
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port`; an IPv6 address needs its brackets. Undefined when it is none. */
export function readHostPort(text: string): HostPort | undefined {
  const colon = text.lastIndexOf(':');
  const before = text.slice(0, Math.max(0, colon));
  const host = before.includes(':') && !before.startsWith('[') ? undefined : readHost(before);
  const port = readPort(text.slice(colon + 1));
  return host === undefined || port === undefined ? undefined : { host, port };
}
