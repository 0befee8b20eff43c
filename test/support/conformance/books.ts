import { eventually } from '../eventually.js';
import type { InstanceProcess } from '../instance-process.js';
import { differences } from './json.js';
import type { Settled } from './legs/wire.js';

const OUTCOMES = ['taken', 'freed', 'unknown'] as const;

/** How many handoffs of an instance have ended how, and what it holds. */
export type Books = Readonly<Record<string, number>>;

/** Reads the books of an instance. */
export async function booksOf(instance: InstanceProcess): Promise<Books> {
  const metric = await instance.metrics();
  return Object.fromEntries([
    ...OUTCOMES.map((outcome) => [outcome, metric('baton_handoffs_settled_total', { outcome })] as const),
    ['open', metric('baton_handoffs_open')],
    ['in flight', metric('baton_inflight_requests')],
    ['fallbacks', metric('baton_local_fallback_total')],
    ['retries', metric('baton_prefill_retries_total')],
    ['no handoff', metric('baton_no_handoff_total')],
  ]);
}

/** The books after requests whose handoffs ended so: nothing is open, nothing was done twice or in another way. */
export function booksAfter(before: Books, settles: readonly Settled[]): Books {
  const counts = OUTCOMES.map((outcome) => {
    const more = settles.filter((settled) => settled === outcome).length;
    return [outcome, (before[outcome] ?? 0) + more] as const;
  });
  return { ...before, ...Object.fromEntries(counts), open: 0, 'in flight': 0 };
}

/** Waits a moment for `look` to find nothing wrong: what is owed may be settled behind the answer. */
export async function soon(look: () => Promise<readonly string[]>): Promise<readonly string[]> {
  let problems: readonly string[] = [];
  const isRight = async (): Promise<boolean> => {
    problems = await look();
    return problems.length === 0;
  };
  await eventually('nothing is wrong', isRight, 1_000).catch(() => undefined);
  return problems;
}

/** Where the books of an instance are others than expected. */
export async function bookProblems(instance: InstanceProcess, expected: Books): Promise<string[]> {
  return differences(await booksOf(instance), expected).map((problem) => `handoffs ${problem}`);
}
