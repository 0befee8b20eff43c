import { availableParallelism } from 'node:os';

/** Threads beyond this many have not been seen to help a CPU decode. */
const MOST_USEFUL_THREADS = 4;

/**
 * How many threads llama.cpp may use. Its pool spins while it waits, so a machine with more spinning threads
 * than cores decodes hundreds of times slower: the count never exceeds this instance's share of the cores. An
 * instance that is alone leaves one core to the event loop.
 *
 * @param wanted threads asked for; 0 takes what fits.
 * @param instances instances that share this machine.
 */
export function threadCount(wanted: number, instances: number, cores = availableParallelism()): number {
  const share = Math.max(1, Math.floor(cores / Math.max(1, instances)));
  if (wanted > 0) return Math.min(wanted, share);
  const forEventLoop = instances <= 1 && share > 1 ? 1 : 0;
  return Math.min(MOST_USEFUL_THREADS, share - forEventLoop);
}
