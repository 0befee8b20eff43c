import { readdir } from 'node:fs/promises';
import { eventually } from './eventually.js';
import type { InstanceProcess } from './instance-process.js';

/** What an instance holds. */
export interface Holdings {
  readonly inFlight: number;
  readonly handoffs: number;
  readonly busySequences: number;
  readonly waiting: number;
  readonly tempFiles: number;
}

export async function holdings(instance: InstanceProcess): Promise<Holdings> {
  const metric = await instance.metrics();
  return {
    inFlight: metric('baton_inflight_requests'),
    handoffs: metric('baton_handoffs_open'),
    busySequences: metric('baton_engine_sequences', { state: 'busy' }),
    waiting: metric('baton_engine_waiting_requests'),
    tempFiles: metric('baton_engine_temp_files'),
  };
}

const isNothing = (held: Holdings): boolean => Object.values(held).every((count) => count === 0);

/** Waits until no instance holds anything. @returns how long it took, in milliseconds. */
export function idle(instances: readonly InstanceProcess[], withinMs = 500): Promise<number> {
  return eventually(
    'every instance is idle',
    async () => (await Promise.all(instances.map(holdings))).every(isNothing),
    withinMs,
  );
}

/** Open sockets, files and timers of an instance's process. */
export async function resources(instance: InstanceProcess): Promise<{ fds: number; sockets: number; timers: number }> {
  const metric = await instance.metrics();
  return {
    fds: (await readdir(`/proc/${instance.pid}/fd`)).length,
    sockets: metric('baton_nodejs_active_resources', { type: 'TCPSocketWrap' }),
    timers: metric('baton_nodejs_active_resources', { type: 'Timeout' }),
  };
}
