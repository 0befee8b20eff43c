import { endpointsOf, urlOf } from './endpoint-list.js';
import type { InstanceConfig } from './instance-config.js';

/** What is allowed and yet unlikely to be meant: sentences for the log at start. */
export function configWarnings(config: InstanceConfig): string[] {
  return [...openDoors(config), ...withoutKeys(config), ...unreachable(config)];
}

function openDoors({ server, security }: InstanceConfig): string[] {
  const { clientKeys, peerKeys, adminKeys, keyless } = security;
  const isOpen = keyless === 'peer';
  const hasNoKeys = clientKeys.length + peerKeys.length + adminKeys.length === 0;
  return [
    ...(isOpen
      ? [
          'Whoever reaches this instance without a key is trusted as another instance is (security.keyless is peer): ' +
            'legs, handoffs and KV are open to them.',
        ]
      : []),
    ...(hasNoKeys && keyless !== 'refuse' && !isLoopback(server.host)
      ? [
          `Everybody who reaches ${server.host} may ask this instance: there are no keys. ` +
            'Set security.clientKeys, or security.peerKeys when only other instances should.',
        ]
      : []),
  ];
}

/** Instances that do not know each other take legs for requests of clients, and give no KV: nothing fails, all is slow. */
function withoutKeys({ coordination, engine, security }: InstanceConfig): string[] {
  const { connector, prefill, decode } = coordination;
  if (connector !== 'embedded') return [];
  const keyless = [...endpointsOf(prefill), ...endpointsOf(decode)].find(
    (endpoint) => typeof endpoint === 'string' || endpoint.apiKey === undefined,
  );
  const mayBeRead = security.peerKeys.length > 0 || security.keyless === 'peer';
  return [
    ...(keyless === undefined || security.keyless === 'peer'
      ? []
      : [
          `${urlOf(keyless)} is called without a key, and takes no legs unless its security.keyless is peer: set ` +
            'coordination.prefill.apiKey and coordination.decode.apiKey to one of its security.peerKeys.',
        ]),
    ...(engine.kind !== 'embedded' || decode.endpoints.length === 0 || mayBeRead
      ? []
      : ['Nobody may read the KV of this instance: set security.peerKeys, and kv.apiKey where it is read.']),
  ];
}

function unreachable(config: InstanceConfig): string[] {
  if (config.coordination.connector === '') return [];
  switch (config.engine.kind) {
    case 'embedded':
      return [...unreachableSideChannel(config), ...nobodyToPullFrom(config)];
    case 'http':
      return unreachableKvTransfer(config);
    case 'none':
      return [];
  }
}

function unreachableSideChannel({ coordination, kv }: InstanceConfig): string[] {
  const elsewhere = firstElsewhere(coordination.decode);
  const advertised = kv.advertiseHost === '' ? kv.host : kv.advertiseHost;
  const unreachable = [kv.host, advertised].find(isLoopback);
  if (elsewhere === undefined || unreachable === undefined) return [];
  return [
    `${elsewhere} cannot pull KV from ${unreachable}, which is this machine alone, and will read every prompt ` +
      'again: set kv.host and kv.advertiseHost to an address that it reaches, and list it in kv.peers there.',
  ];
}

function nobodyToPullFrom({ coordination, kv }: InstanceConfig): string[] {
  const [first] = coordination.prefill.endpoints.map(urlOf);
  if (first === undefined || kv.peers.length > 0) return [];
  return [
    `${first} prefills for this instance, which may not pull KV from anybody: list the KV side channel of each of ` +
      'coordination.prefill.endpoints in kv.peers.',
  ];
}

/** Connectors that tell the other side where KV is transferred, and which side that is. The default is the engine's host. */
const TOLD: ReadonlyMap<string, 'prefill' | 'decode'> = new Map([
  ['sglang', 'decode'],
  ['mooncake', 'decode'],
  ['lmcache', 'prefill'],
]);

function unreachableKvTransfer({ coordination, engine }: InstanceConfig): string[] {
  const other = TOLD.get(coordination.connector);
  const elsewhere = other && firstElsewhere(coordination[other]);
  const { hostname } = new URL(engine.url);
  if (elsewhere === undefined || engine.kvAddress !== '' || !isLoopback(hostname)) return [];
  return [
    `${elsewhere} cannot reach the KV transfer of ${engine.url}, which it is told to find at ${hostname}: set ` +
      'engine.kvAddress to an address that it reaches.',
  ];
}

/** The first endpoint of a pool that is not on this machine. */
function firstElsewhere({ endpoints }: InstanceConfig['coordination']['decode']): string | undefined {
  return endpoints.map(urlOf).find((url) => !isLoopback(new URL(url).hostname));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.startsWith('127.') || host === '::1' || host === '[::1]';
}
