import type { JsonObject } from '@baton/inference';
import { parseEndpoint, readHost, readPort, type AddressList, type Endpoint, type LegSite } from '@baton/remotes';

/** Which side channels may be dialled. */
export interface SideChannels {
  /** Those of other hosts than the endpoint's that answered. */
  readonly peers: AddressList;
  /** Sent to those on the list only. */
  readonly apiKey?: string | undefined;
  /** Sent to the engine of this process. */
  readonly ownApiKey?: string | undefined;
}

/**
 * The KV side channel that P's answer names, or undefined when it may not be dialled: an answer could name any address.
 * It may be on the host of the endpoint that gave the answer, or on the list. The engine of this process is trusted.
 */
export function sideChannelOf(
  { remote_host: remoteHost, remote_port: remotePort }: JsonObject,
  prefill: LegSite | undefined,
  { peers, apiKey, ownApiKey }: SideChannels,
): Endpoint | undefined {
  const [host, port] = [readHost(remoteHost), readPort(remotePort)];
  if (host === undefined || port === undefined) return undefined;
  const url = `http://${host}:${port}`;
  const { endpoint } = prefill ?? {};
  if (prefill !== undefined && endpoint === undefined) return parseEndpoint({ url, apiKey: ownApiKey ?? apiKey ?? '' });
  if (peers.allows(host, port)) return parseEndpoint({ url, apiKey: apiKey ?? '' });
  if (endpoint === undefined) return undefined;
  if (new URL(endpoint.origin).hostname !== host) return undefined;
  // That host has the key of its endpoint already.
  return parseEndpoint({ url, apiKey: endpoint.apiKey ?? '' });
}
