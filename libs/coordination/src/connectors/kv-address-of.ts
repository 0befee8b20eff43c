import { InferenceError } from '@baton/inference';
import { parseEndpoint, type Endpoint, type KvAddress, type LegSite } from '@baton/remotes';

/**
 * Where the KV transfer of a site listens: as configured, else the host of its server and the protocol's default ports.
 *
 * @throws InferenceError 500 `kv_address_required` when neither is there.
 */
export function kvAddressOf(site: LegSite | undefined, connector: string, defaultPorts?: readonly number[]): KvAddress {
  const endpoint = site?.endpoint;
  if (endpoint?.kv !== undefined) return endpoint.kv;
  if (endpoint === undefined || defaultPorts === undefined) throw kvAddressRequired(connector, endpoint);
  return { host: new URL(endpoint.origin).hostname, ports: defaultPorts };
}

/**
 * The HTTP server at the KV address of a site. It goes by the name of the site's own endpoint: when it cannot be reached,
 * that instance is what is unavailable, and another may be tried.
 */
export function kvServer(site: LegSite, connector: string, defaultPort: number): Endpoint {
  const { host, ports } = kvAddressOf(site, connector, [defaultPort]);
  const server = parseEndpoint(`http://${host}:${String(ports[0])}`);
  return { ...server, name: site.endpoint?.name ?? server.name };
}

/** A mistake of the configuration, which only shows when a request needs the address. */
export function kvAddressRequired(connector: string, endpoint: Endpoint | undefined): InferenceError {
  const whose = endpoint === undefined ? 'this instance (it has no engine server)' : `endpoint ${endpoint.name}`;
  return new InferenceError(`Connector ${connector} needs the KV address of ${whose}: configure its kvAddress.`, {
    status: 500,
    code: 'kv_address_required',
  });
}
