import type { RequestRecord } from '../../../apps/simulator/src/http/request-record.js';

/** The most of these legs that a server had at one moment. One that ends in the millisecond of another's start came before. */
export function mostAtOnce(legs: readonly RequestRecord[]): number {
  const steps = legs
    .flatMap(({ atMs, endedAtMs = Infinity }) => [
      { atMs, by: 1 },
      { atMs: endedAtMs, by: -1 },
    ])
    .sort((one, other) => one.atMs - other.atMs || one.by - other.by);
  let most = 0;
  let now = 0;
  for (const { by } of steps) {
    now += by;
    most = Math.max(most, now);
  }
  return most;
}

/** A leg that was sent once more: when the one before it had come, and how long after that it came itself, in ms. */
export interface Retry {
  readonly failedAtMs: number;
  readonly afterMs: number;
}

/** Which legs are the first of their prompt, and which are sent once more. */
export function retriesAmong(legs: readonly RequestRecord[]): {
  readonly first: readonly RequestRecord[];
  readonly retries: readonly Retry[];
} {
  const lastMs = new Map<unknown, number>();
  const first: RequestRecord[] = [];
  const retries: Retry[] = [];
  for (const leg of legs) {
    const { prompt } = leg.body;
    const failedAtMs = lastMs.get(prompt);
    if (failedAtMs === undefined) first.push(leg);
    else retries.push({ failedAtMs, afterMs: leg.atMs - failedAtMs });
    lastMs.set(prompt, leg.atMs);
  }
  return { first, retries };
}
