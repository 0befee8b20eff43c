import { describe, expect, it } from '@jest/globals';
import { appendFileSync } from 'node:fs';
import { Random } from './random.js';

/** One case of the fault suite. */
export interface FaultCase {
  /** `R1` to `R36`, `X1` to `X14`, or a name of our own. A case in several parts adds a part: `R1 nixl`. */
  readonly id: string;
  readonly title: string;
  /** How often the fault is injected: within `npm test`, and by `npm run test:faults`. */
  readonly runs: { readonly scaled: number; readonly full: number };
  /** How long all of it may take, in ms: within `npm test`, and in full. Default 30 s and 10 min. */
  readonly boundMs?: { readonly scaled: number; readonly full: number };
  run(trial: Trial): Promise<void>;
}

/** What a case is given, and tells. */
export interface Trial {
  readonly runs: number;
  readonly isFull: boolean;
  readonly random: Random;
  /** A fault did happen: called only with proof (a counter of the proxy, a signal that was taken, a request refused). */
  injected(count?: number): void;
  /** One run did not end as it has to. The case goes on, and fails at its end. */
  failed(why: string): void;
  /** A figure of which the highest is reported, for example `worst('abort p99', 12, 'ms')`. */
  worst(name: string, value: number, unit: string): void;
}

/** What the table of `npm run test:faults` is made of. */
export interface FaultResult {
  readonly id: string;
  readonly title: string;
  readonly runs: number;
  readonly injected: number;
  readonly failures: readonly string[];
  readonly figures: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly seconds: number;
}

const IS_FULL = process.env['FAULTS_FULL'] === '1';
/** Set to replay a case. */
const SEED = process.env['FAULTS_SEED'];
/** A file that results are appended to, a JSON object a line. */
const RESULTS = process.env['FAULTS_RESULTS'];
const MOST_FAILURES_KEPT = 20;

/** Declares cases as tests: each fails when a run failed, or when fewer faults were injected than it has runs. */
export function faultCases(room: string, cases: readonly FaultCase[]): void {
  describe(room, () => {
    for (const each of cases) {
      const bounds = each.boundMs ?? { scaled: 30_000, full: 600_000 };
      it(`${each.id}: ${each.title}`, () => runCase(each), IS_FULL ? bounds.full : bounds.scaled);
    }
  });
}

async function runCase(each: FaultCase): Promise<void> {
  const seed = SEED === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(SEED);
  const runs = IS_FULL ? each.runs.full : each.runs.scaled;
  const failures: string[] = [];
  const figures = new Map<string, { value: number; unit: string }>();
  let injected = 0;
  let failed = 0;
  const fail = (why: string): void => {
    failed += 1;
    if (failures.length < MOST_FAILURES_KEPT) failures.push(why);
  };
  const start = performance.now();
  try {
    await each.run({
      runs,
      isFull: IS_FULL,
      random: new Random(seed),
      injected: (count = 1) => (injected += count),
      failed: fail,
      worst: (name, value, unit) => {
        const known = figures.get(name)?.value ?? -Infinity;
        if (value > known) figures.set(name, { value, unit });
      },
    });
  } catch (error) {
    fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const result: FaultResult = {
    ...{ id: each.id, title: each.title, runs, injected, failures, seed },
    figures: Object.fromEntries(
      [...figures].map(([name, { value, unit }]) => [name, `${round(value)} ${unit}`.trim()]),
    ),
    seconds: round((performance.now() - start) / 1_000),
  };
  if (RESULTS !== undefined) appendFileSync(RESULTS, `${JSON.stringify({ ...result, failed })}\n`);
  // The seed is in the message: FAULTS_SEED replays the case.
  expect({ seed, failed, failures }).toEqual({ seed, failed: 0, failures: [] });
  expect({ seed, faultsAreProven: injected >= runs, injected }).toMatchObject({ faultsAreProven: true });
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
