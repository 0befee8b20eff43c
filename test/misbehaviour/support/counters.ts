import type { InstanceProcess } from '../../support/instance-process.js';

/** Everything that Baton counts of requests, retries and handoffs. */
const COUNTED = [
  'stream_end_total',
  'prefill_retries_total',
  'no_handoff_total',
  'answered_by_prefill_total',
  'local_fallback_total',
  'handoffs_settled_total',
];

/** Counters by name and label value: `stream_end complete`. */
export type Counters = Readonly<Record<string, number>>;

/** The counters of an instance now. Each of them has at most one label. */
export async function countersOf(instance: InstanceProcess): Promise<Counters> {
  const text = await (await fetch(`${instance.url}/metrics`)).text();
  const counters: Record<string, number> = {};
  for (const [, name = '', label, value] of text.matchAll(/^baton_(\w+)(?:\{\w+="(\w*)"\})? ([\d.e+-]+)$/gm)) {
    if (!COUNTED.includes(name)) continue;
    counters[[name.replace(/_total$/, ''), ...(label === undefined ? [] : [label])].join(' ')] = Number(value);
  }
  if (Object.keys(counters).length < COUNTED.length) throw new Error(`Counters are missing:\n${text}`);
  return counters;
}

/** What has moved from one time to another, and by how much; all of it. */
export function moved(before: Counters, after: Counters): Counters {
  const names = Object.keys(after).filter((name) => after[name] !== (before[name] ?? 0));
  return Object.fromEntries(names.map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));
}

/** What several requests move together. */
export function sum(all: readonly Counters[]): Counters {
  const total: Record<string, number> = {};
  for (const counters of all) {
    for (const [name, value] of Object.entries(counters)) total[name] = (total[name] ?? 0) + value;
  }
  return total;
}

/** What several requests move that each move the same. */
export const times = (count: number, counters: Counters): Counters =>
  sum(Array.from({ length: count }, () => counters));
