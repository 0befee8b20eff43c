import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until `probe` is true, looking every 10 ms.
 *
 * @returns how long it took, in milliseconds.
 * @throws Error with `what` when it is not within `withinMs`.
 */
export async function eventually(
  what: string,
  probe: () => boolean | Promise<boolean>,
  withinMs = 5_000,
): Promise<number> {
  const start = performance.now();
  for (;;) {
    if (await probe()) return performance.now() - start;
    if (performance.now() - start > withinMs) throw new Error(`Not within ${withinMs} ms: ${what}`);
    await sleep(10);
  }
}
