import type { InstanceProcess } from '../../support/instance-process.js';
import type { Trial } from '../support/fault-case.js';

/** Counters of an instance, by name and label value: `stream_end complete`. */
export type Counts = Readonly<Record<string, number>>;

const COUNTED = ['requests_started', 'stream_end', 'handoffs_settled', 'prefill_retries', 'decode_retries'];

/** What has been counted so far of requests, their ends, handoffs and retries. */
export async function snapshotOf(instance: InstanceProcess): Promise<Counts> {
  const text = await (await fetch(`${instance.url}/metrics`)).text();
  const counts: Record<string, number> = {};
  for (const [, name = '', label = '', value] of text.matchAll(
    /^baton_(\w+)_total(?:\{\w+="(\w*)"\})? ([\d.e+-]+)$/gm,
  )) {
    if (COUNTED.includes(name)) counts[`${name} ${label}`.trim()] = Number(value);
  }
  return counts;
}

/** What has moved, and by how much. */
export function movedSince(before: Counts, after: Counts): Counts {
  const moved = Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)] as const);
  return Object.fromEntries(moved.filter(([, by]) => by !== 0));
}

/**
 * Fails the trial unless exactly `right` has moved, of the counters whose names begin as one of its names does: asked for
 * one reason of `stream_end`, no other reason may have moved.
 */
export function demand(trial: Trial, moved: Counts, right: Counts): void {
  const kinds = new Set(Object.keys(right).map(kindOf));
  const names = new Set([...Object.keys(right), ...Object.keys(moved).filter((name) => kinds.has(kindOf(name)))]);
  for (const name of names) {
    const [is, should] = [moved[name] ?? 0, right[name] ?? 0];
    if (is !== should) trial.failed(`${name} moved by ${is} instead of ${should}`);
  }
}

const kindOf = (name: string): string => name.split(' ')[0] ?? name;
