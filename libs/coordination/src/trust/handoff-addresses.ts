import { handoffPart, InferenceError, type InferenceRequest, type JsonObject } from '@baton/inference';
import { AddressList, parseKvAddress, readHost, RemoteClient, type Endpoint, type LegSite } from '@baton/remotes';
import { Inject, Injectable, Optional } from '@nestjs/common';
import { networkInterfaces } from 'node:os';
import { COORDINATION_OPTIONS, PREFILL_CLIENT } from '../coordination.constants.js';
import type { CoordinationOptions } from '../coordination.options.js';
import { namedAddresses, type NamedAddress } from './named-addresses.js';

/**
 * The addresses that a handoff may name: engines dial what `kv_transfer_params` says. Allowed are the `kvPeers`, exactly as
 * listed, and the KV addresses of configured endpoints.
 */
@Injectable()
export class HandoffAddresses {
  readonly #listed: AddressList;
  readonly #isChecked: boolean;

  /** @throws Error naming an entry of `kvPeers` that cannot be read. */
  constructor(
    @Inject(COORDINATION_OPTIONS) options: CoordinationOptions,
    @Optional() @Inject(PREFILL_CLIENT) private readonly client?: RemoteClient,
  ) {
    this.#listed = new AddressList([...(options.kvPeers ?? []), ...kvAddresses(options)]);
    this.#isChecked = options.local?.checksAddresses !== true;
  }

  /**
   * A leg of somebody else, before it runs here.
   *
   * @throws InferenceError 403 `address_not_allowed` when it names an address that is not on the list.
   */
  assertLeg({ id, body }: InferenceRequest): void {
    if (!this.#isChecked) return;
    const parts = [...handoffPart(body), ...(HOLDS_ADDRESSES.test(id) ? [{ request_id: id }] : [])];
    if (!parts.every((part) => this.#allows(part, this.#listed))) throw notAllowed(403);
  }

  /**
   * What P hands over, before anybody is told: P could name any address. It may also name its own host, with any port, when
   * its endpoint has no KV address configured: by the endpoint's name, by an address that this name was found at, and a server
   * on this machine by an address of this machine. An engine in this process is trusted.
   *
   * @param params as P's answer has them, of any protocol.
   * @throws InferenceError 502 `address_not_allowed`
   */
  assertAnswer(params: JsonObject, { endpoint }: Pick<LegSite, 'endpoint'>): void {
    if (endpoint === undefined) return;
    if (!this.#allows(params, this.#listed, this.#ownAddress(endpoint))) throw notAllowed(502);
  }

  #ownAddress({ origin, kv }: Endpoint): AddressList {
    if (kv !== undefined) return NOWHERE;
    const { hostname } = new URL(origin);
    const others = isLoopback(hostname)
      ? ['localhost', ...addressesOfThisMachine()]
      : (this.client?.addressesOf(hostname) ?? []);
    const hosts = [hostname, ...others].map(readHost).filter((host) => host !== undefined);
    return new AddressList(hosts.map((host) => `${host}:*`));
  }

  #allows(part: JsonObject, ...lists: readonly AddressList[]): boolean {
    return namedAddresses(part).every((named) => named !== undefined && lists.some((list) => isOn(list, named)));
  }
}

/** The ids of vLLM's P2pNcclConnector say where both sides listen. */
const HOLDS_ADDRESSES = /addr_/i;

function isOn(list: AddressList, { host, port }: NonNullable<NamedAddress>): boolean {
  return port === 'unseen' ? list.knows(host) : list.allows(host, port === 'default' ? undefined : port);
}

/** `host:port` of every KV address in the configuration. */
function kvAddresses({ prefill, decode, local }: CoordinationOptions): string[] {
  const endpoints = [...(prefill?.endpoints ?? []), ...(decode?.endpoints ?? []), local?.endpoint ?? ''];
  return endpoints.flatMap((endpoint) => {
    if (typeof endpoint === 'string' || !endpoint.kvAddress) return [];
    const { host, ports } = parseKvAddress(endpoint.kvAddress);
    return ports.map((port) => `${host}:${port}`);
  });
}

const NOWHERE = new AddressList();

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** Without those of one link only, whose zone means nothing elsewhere. */
function addressesOfThisMachine(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses);
  return all.filter(({ scopeid }) => !scopeid).map(({ address }) => address);
}

/** One text for all: who asks learns nothing of what is there. */
function notAllowed(status: 403 | 502): InferenceError {
  return new InferenceError('The handoff names an address that is not allowed here.', {
    status,
    code: 'address_not_allowed',
    ...(status === 502 ? { type: 'server_error' } : {}),
  });
}
