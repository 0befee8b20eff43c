import type { JsonObject } from '@baton/inference';
import { parseEndpoint, type Endpoint, type LegSite } from '@baton/remotes';

/**
 * The KV side channel that P's answer names, or undefined when it may not be dialled: an answer could name any address.
 * It may be on the host of the endpoint that gave the answer, or on the list. The engine of this process is trusted.
 *
 * @param peers `host:port`, or `host:*` for every port of a host.
 */
export function sideChannelOf(
  { remote_host: remoteHost, remote_port: port }: JsonObject,
  prefill: LegSite | undefined,
  peers: readonly string[],
): Endpoint | undefined {
  if (typeof remoteHost !== 'string' || !Number.isInteger(port)) return undefined;
  const host = remoteHost.includes(':') && !remoteHost.startsWith('[') ? `[${remoteHost}]` : remoteHost;
  const isKnown = (site: LegSite): boolean =>
    site.endpoint === undefined || new URL(site.endpoint.origin).hostname === host.toLowerCase();
  const isListed = peers.some((peer) => peer === `${host}:${String(port)}` || peer === `${host}:*`);
  if (!isListed && (prefill === undefined || !isKnown(prefill))) return undefined;
  return HOST.test(host) ? parseEndpoint(`http://${host}:${String(port)}`) : undefined;
}

const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)$/i;
