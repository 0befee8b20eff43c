import type { Fault } from '../../../apps/simulator/src/faults/fault.js';
import type { FaultPlan } from '../support/fault-plan.js';
import type { Random } from '../support/random.js';
import type { Member, Pool } from './pool.js';

/** What engines are made to do, each to a few of the legs. None of it makes an engine lie about its tokens. */
const MISBEHAVIOURS: readonly Fault[] = [
  { kind: 'http_status', status: 500 },
  { kind: 'http_status', status: 503, shape: 'html' },
  { kind: 'http_status', status: 429, shape: 'flat' },
  { kind: 'http_status', status: 502, shape: 'broken' },
  { kind: 'admission_503' },
  { kind: 'reset', afterTokens: 2 },
  { kind: 'reset', at: 'head' },
  { kind: 'cut', afterTokens: 3 },
  { kind: 'malformed_json' },
  { kind: 'done_only', where: 'decode' },
  { kind: 'no_finish_reason', where: 'decode' },
  { kind: 'abort_terminal', afterTokens: 1, where: 'decode' },
  { kind: 'error_frame', afterTokens: 2 },
  { kind: 'error_frame', afterTokens: 1, shape: 'flat', done: false },
  { kind: 'malformed_event', afterTokens: 1 },
  { kind: 'sse_comments', every: 2 },
  { kind: 'sse_framing', newline: 'crlf', chunkBytes: 3 },
  { kind: 'slow', at: 'head', ms: 40 },
  { kind: 'slow', at: 'done', ms: 40 },
  { kind: 'hang', at: 'token', afterTokens: 2, where: 'decode' },
  { kind: 'null_params', where: 'prefill' },
  { kind: 'kv_load_failure', where: 'decode' },
];

/** Switches misbehaviours on; each befalls a leg with the probability `each`. */
export async function misbehave({ simulator }: Member, random: Random, each: number): Promise<void> {
  await simulator.misbehave(
    MISBEHAVIOURS.map((fault) => ({ ...fault, probability: each, seed: random.below(2 ** 31) })),
  );
}

/** What the wire to an engine does: of ten connections, six are as they should be. */
export function wirePlan(random: Random): FaultPlan {
  const kind = random.below(10);
  if (kind === 0) return { resetAfterDownBytes: 200 + random.below(30_000) };
  if (kind === 1) return { chop: [1, 7] };
  if (kind === 2) return { stallAfterDownBytes: 200 + random.below(60_000) };
  if (kind === 3) return { delayMs: 1 + random.below(10) };
  return {};
}

/** How many faults a pool has seen: what befell legs, and what its wires did. */
export async function troubleSeen({ members }: Pool): Promise<number> {
  const befallen = await Promise.all(
    members.map(async ({ simulator, proxy }) => {
      const faults = (await simulator.get('faults')) as unknown as readonly { readonly befallen: number }[];
      const { resets, stalls, refused } = proxy.counts;
      return faults.reduce((sum, fault) => sum + fault.befallen, resets + stalls + refused);
    }),
  );
  return befallen.reduce((sum, count) => sum + count, 0);
}
