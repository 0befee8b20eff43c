import { urlOf } from './endpoint-list.js';
import type { InstanceConfig } from './instance-config.js';

/** What is allowed and yet unlikely to be meant: sentences for the log at start. */
export function configWarnings(config: InstanceConfig): string[] {
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
