import type { Phase } from '@baton/coordination';
import { appendFileSync } from 'node:fs';
import { CONTRACTS, type LeavingConnector } from './plan.js';

/** A file that the figures of the table in docs/cancellation.md are appended to, a JSON object a line. */
const BOOK = process.env['FAULTS_GAP'];

/** One cell of the table: how long KV was held for clients that had left. */
export interface GapFigures {
  readonly connector: LeavingConnector;
  /** `nobody`: nothing was done at all, to see what the plans are worth. */
  readonly phase: Phase | 'nobody';
  readonly runs: number;
  readonly medianMs: number;
  readonly worstMs: number;
  /** How long the engine of the connector keeps KV that nobody takes, by default. */
  readonly leaseMs: number | undefined;
  /** How often it was freed by what. */
  readonly freedBy: Readonly<Record<string, number>>;
}

/** Books how long KV was stranded in one phase. */
export function bookGap(
  connector: LeavingConnector,
  phase: GapFigures['phase'],
  left: readonly { readonly strandedMs: number; readonly freedBy: string | undefined }[],
): void {
  if (BOOK === undefined || left.length === 0) return;
  const times = left.map(({ strandedMs }) => strandedMs).sort((a, b) => a - b);
  const freedBy: Record<string, number> = {};
  for (const { freedBy: how = 'nothing held' } of left) freedBy[how] = (freedBy[how] ?? 0) + 1;
  const figures: GapFigures = {
    ...{ connector, phase, runs: left.length, freedBy },
    medianMs: times[times.length >> 1] ?? 0,
    worstMs: times.at(-1) ?? 0,
    leaseMs: CONTRACTS[connector].leaseMs,
  };
  appendFileSync(BOOK, `${JSON.stringify(figures)}\n`);
}
