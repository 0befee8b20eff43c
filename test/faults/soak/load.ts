import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../support/random.js';
import type { Visit } from './clients.js';

/** A share of the load. */
export interface Stream {
  readonly perSecond: number;
  readonly visit: (random: Random) => Promise<Visit>;
}

/** What came of all visits. */
export class Tally {
  readonly counts = new Map<string, number>();
  readonly complaints: string[] = [];
  visits = 0;

  add({ outcome, complaint }: Visit): void {
    this.visits += 1;
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
    if (complaint !== undefined) this.complaints.push(complaint);
  }
}

/** A visit waits for nobody; more than so many at once, and the machine is too slow for the rate. */
const MOST_AT_ONCE = 300;

/** Lets visitors come at a rate, until `untilMs` (`performance.now()`); resolves when the last has gone. */
export async function load(streams: readonly Stream[], random: Random, untilMs: number, tally: Tally): Promise<void> {
  await Promise.all(
    streams.map(async ({ perSecond, visit }) => {
      const under = new Set<Promise<void>>();
      for (let due = performance.now(); due < untilMs; due += 1_000 / perSecond) {
        const wait = due - performance.now();
        if (wait > 0) await sleep(wait);
        if (under.size >= MOST_AT_ONCE) {
          tally.add({ outcome: 'not sent: too many at once' });
          continue;
        }
        const one: Promise<void> = visit(random)
          .catch((error: unknown) => ({ outcome: 'failed', complaint: String(error) }))
          .then((visited) => {
            tally.add(visited);
            under.delete(one);
          });
        under.add(one);
      }
      await Promise.all(under);
    }),
  );
}
