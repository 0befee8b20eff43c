import { isJsonObject } from '@baton/inference';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { HOST } from './instance-environment.js';
import { UsageError } from './usage.error.js';

/**
 * Makes sure that an instance can listen on `port`; 0 is always free.
 *
 * @param variable the environment variable that chooses another port.
 * @throws UsageError when it cannot.
 */
export async function checkPort(port: number, variable: string): Promise<void> {
  const probe = createServer();
  try {
    probe.listen({ host: HOST, port, exclusive: true });
    await once(probe, 'listening');
  } catch (error) {
    throw new UsageError(`${reason(error, port)}; choose another port with ${variable}=<port>.`, { cause: error });
  } finally {
    probe.close();
  }
}

function reason(error: unknown, port: number): string {
  const code = isJsonObject(error) ? error['code'] : undefined;
  if (code === 'EADDRINUSE') return `Port ${port} on ${HOST} is in use`;
  return `Port ${port} on ${HOST} cannot be opened (${String(code ?? error)})`;
}
