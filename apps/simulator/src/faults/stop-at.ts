import { pause } from '../engine/pause.js';
import type { RequestRecord } from '../http/request-record.js';
import type { HangPoint } from './fault.js';
import type { FaultSet } from './fault-set.js';

/** Hangs or waits at this point of a request if a fault says so. Fails with the signal's reason. */
export async function stopAt(
  point: HangPoint,
  record: RequestRecord,
  faults: FaultSet,
  signal: AbortSignal,
): Promise<void> {
  for (const fault of record.faults) {
    if (fault.kind === 'slow' && fault.at === point) await pause(fault.ms, signal);
    if (fault.kind !== 'hang' || fault.at !== point) continue;
    if (point !== 'token' || record.tokens >= (fault.afterTokens ?? 0)) await faults.untilCleared(fault, signal);
  }
}
