import type { DialectName } from './dialects/dialect.js';
import { parseKvAddress, type KvAddress } from './kv-address.js';

/** Another instance (or engine server) that legs can be sent to. */
export interface Endpoint {
  /** Origin, for example `http://10.0.0.7:8200`; no path. */
  readonly origin: string;
  /** `host:port`, exact; the name under which it appears in logs and metrics. */
  readonly name: string;
  /** Sent as `Authorization: Bearer`, to this endpoint only. */
  readonly apiKey?: string;
  /** Where its KV transfer listens, for connectors that have to say so on the wire. Undefined: the connector's default. */
  readonly kv?: KvAddress;
  /** What it speaks. Default `openai`. Whether there is such a dialect is found out when it is called. */
  readonly dialect?: DialectName;
}

/** An endpoint as configured: its URL, or its URL and what else is known of it. */
export type EndpointOptions =
  | string
  | {
      readonly url: string;
      readonly apiKey?: string;
      /** `host:port`, or `host:port,port`; see {@link KvAddress}. */
      readonly kvAddress?: string;
      readonly dialect?: DialectName;
    };

/**
 * Reads a configured endpoint.
 *
 * @throws Error naming the value when it is not an `http:` or `https:` origin, or what it speaks is no name. A dialect that
 *   is not there may still come, from a plugin: `dialectOf` says so when it is needed.
 */
export function parseEndpoint(options: EndpointOptions): Endpoint {
  const { url, apiKey, kvAddress, dialect } = typeof options === 'string' ? { url: options } : options;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new Error(`Endpoint "${url}" must be a URL such as http://10.0.0.7:8200.`);
  }
  const { pathname, search, hash, username, password } = parsed;
  if (pathname !== '/' || `${search}${hash}${username}${password}` !== '') {
    throw new Error(`Endpoint "${url}" must be an origin only: no path, query, fragment, user name or password.`);
  }
  if (dialect !== undefined && !DIALECT_NAME.test(dialect)) {
    throw new Error(`Endpoint "${url}" speaks "${dialect}", which is not the name of a dialect.`);
  }
  const port = parsed.port || (parsed.protocol === 'https:' ? '443' : '80');
  return {
    origin: parsed.origin,
    name: `${parsed.hostname}:${port}`,
    ...(apiKey ? { apiKey } : {}),
    ...(kvAddress ? { kv: parseKvAddress(kvAddress) } : {}),
    ...(dialect ? { dialect } : {}),
  };
}

/** What a dialect may be named. */
const DIALECT_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** The hosts that endpoints name, of their servers and of their KV transfers. */
export function configuredHosts(endpoints: readonly Endpoint[]): readonly string[] {
  return endpoints.flatMap(({ origin, kv }) => [new URL(origin).hostname, ...(kv === undefined ? [] : [kv.host])]);
}
