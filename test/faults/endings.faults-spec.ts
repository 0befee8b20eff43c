import { afterAll, beforeAll } from '@jest/globals';
import type { Fault } from '../../apps/simulator/src/faults/fault.js';
import { befallen } from '../misbehaviour/support/scene.js';
import { inParallel } from './leaving/visit.js';
import { faultCases, type FaultCase, type Trial } from './support/fault-case.js';
import { assertQuiet, baselineOf } from './support/quiet.js';
import { Client, recordsOf, rightAnswer, type Heard } from './transport/client.js';
import { demand, movedSince, snapshotOf } from './transport/counts.js';
import { startRig, type Rig } from './transport/rig.js';

const TOKENS = 8;
const AT_ONCE = 8;
/** Between two chunks of D: what hangs is given up after this long. */
const IDLE_TIMEOUT_MS = 400;
const promptOf = (index: number): string => `Ending ${index}: a fox and a silver key.`;

/** How D ends a stream, and what that is. */
interface Ending {
  readonly fault: Fault;
  /** Of the one error that the client is told. */
  readonly code: string;
  /** Of `baton_stream_end_total`. */
  readonly reason: string;
  /** Before the first token there is a status; after it, an error event. */
  readonly status: 200 | 502 | 503 | 504;
}

const midStream = (fault: Fault, code: string, reason = code): Ending => ({ fault, code, reason, status: 200 });

const ENDINGS: readonly Ending[] = [
  midStream({ kind: 'error_frame', shape: 'nested', afterTokens: 3 }, 'upstream_error_event'),
  midStream({ kind: 'error_frame', shape: 'flat', afterTokens: 3 }, 'upstream_error_event'),
  midStream({ kind: 'error_frame', shape: 'string-code', afterTokens: 3, done: false }, 'upstream_error_event'),
  midStream({ kind: 'malformed_event', afterTokens: 3 }, 'upstream_incomplete'),
  midStream({ kind: 'cut', afterTokens: 3 }, 'upstream_truncated'),
  midStream({ kind: 'cut', afterTokens: TOKENS }, 'upstream_truncated'),
  midStream({ kind: 'reset', afterTokens: 3 }, 'remote_reset', 'upstream_error'),
  midStream({ kind: 'no_finish_reason' }, 'upstream_incomplete'),
  midStream({ kind: 'abort_terminal', afterTokens: 2 }, 'upstream_aborted'),
  midStream({ kind: 'hang', at: 'token', afterTokens: 3 }, 'remote_timeout', 'timeout_between_tokens'),
  { fault: { kind: 'done_only' }, code: 'upstream_incomplete', reason: 'upstream_incomplete', status: 502 },
  { fault: { kind: 'http_status', status: 500 }, code: 'remote_failed', reason: 'upstream_error', status: 502 },
];

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    // What no D has taken is freed by the end of its lease.
    flags: { 'kv-lease-ms': 1_500 },
    settings: { BATON_COORDINATION_DECODE_IDLE_TIMEOUT_MS: String(IDLE_TIMEOUT_MS) },
  });
});
afterAll(() => rig.stop());

function check(trial: Trial, { fault, code, status }: Ending, heard: Heard, right: string): void {
  const told = heard.errors === 1 && heard.code === code && heard.status === status;
  if (!told) {
    trial.failed(
      `${fault.kind}: ${heard.errors} errors, ${heard.status} ${String(heard.code)}: ${heard.events.join('|')}`,
    );
  }
  if (status === 200 && !heard.isDone) trial.failed(`${fault.kind}: no end mark`);
  if (!right.startsWith(heard.said)) trial.failed(`${fault.kind}: wrong text before the error: ${heard.said}`);
}

const endings: FaultCase = {
  id: 'R24',
  title: `${ENDINGS.length} ways for an upstream stream to end badly: one error each, of the right kind`,
  runs: { scaled: ENDINGS.length, full: ENDINGS.length * 100 },
  run: async (trial) => {
    const { instance, decode, watched } = rig;
    const each = trial.runs / ENDINGS.length;
    const client = new Client(instance.url, { connections: AT_ONCE });
    const right = await Promise.all(
      Array.from({ length: 10 }, (_, index) => rightAnswer(decode, promptOf(index), TOKENS)),
    );
    await client.complete(promptOf(0));
    const baseline = await baselineOf(watched);
    for (const ending of ENDINGS) {
      await decode.forget();
      // Without a bound: what frees the KV of a request that failed goes to D as well.
      await decode.misbehave([{ ...ending.fault, where: 'decode' }]);
      const before = await snapshotOf(instance);
      await inParallel(each, AT_ONCE, async (index) => {
        const heard = await client.complete(promptOf(index % 10), { tokens: TOKENS });
        check(trial, ending, heard, right[index % 10] ?? '');
      });
      trial.injected(befallen(await recordsOf(decode), ending.fault.kind));
      await decode.misbehave([]);
      const moved = movedSince(before, await snapshotOf(instance));
      demand(trial, moved, { 'requests_started completions': each, [`stream_end ${ending.reason}`]: each });
    }
    await client.close();
    await assertQuiet(trial, baseline, { withinMs: 4_000, idleConnections: AT_ONCE * 2 });
  },
};

faultCases('Endings of an upstream', [endings]);
