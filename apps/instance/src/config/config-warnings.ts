import type { InstanceConfig } from './instance-config.js';

/** What is allowed and yet unlikely to be meant: sentences for the log at start. */
export function configWarnings({ coordination, engine, kv }: InstanceConfig): string[] {
  if (coordination.connector === '' || engine.kind !== 'embedded') return [];
  const elsewhere = coordination.decode.endpoints.find((endpoint) => !isLoopback(new URL(endpoint).hostname));
  const advertised = kv.advertiseHost === '' ? kv.host : kv.advertiseHost;
  const unreachable = [kv.host, advertised].find(isLoopback);
  if (elsewhere === undefined || unreachable === undefined) return [];
  return [
    `${elsewhere} cannot pull KV from ${unreachable}, which is this machine alone, and will read every prompt ` +
      'again: set kv.host and kv.advertiseHost to an address that it reaches, and list it in kv.peers there.',
  ];
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.startsWith('127.') || host === '::1' || host === '[::1]';
}
