import { urlOf } from './endpoint-list.js';
import type { InstanceConfig } from './instance-config.js';

/** What is allowed and yet unlikely to be meant: sentences for the log at start. */
export function configWarnings(config: InstanceConfig): string[] {
  if (config.coordination.connector === '' || config.engine.kind !== 'embedded') return [];
  return [...unreachableSideChannel(config), ...nobodyToPullFrom(config)];
}

function unreachableSideChannel({ coordination, kv }: InstanceConfig): string[] {
  const elsewhere = coordination.decode.endpoints.map(urlOf).find((url) => !isLoopback(new URL(url).hostname));
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

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.startsWith('127.') || host === '::1' || host === '[::1]';
}
