import { InferenceError } from '@baton/inference';
import type { Dialect, DialectName, InTreeDialectName } from './dialect.js';
import { llamaCppDialect } from './llamacpp.dialect.js';
import { openAiDialect } from './openai.dialect.js';
import { sglangDialect } from './sglang.dialect.js';
import { trtLlmDialect } from './trtllm.dialect.js';
import { vllmDialect } from './vllm.dialect.js';

const IN_TREE: Readonly<Record<InTreeDialectName, Dialect>> = {
  openai: openAiDialect,
  vllm: vllmDialect,
  sglang: sglangDialect,
  trtllm: trtLlmDialect,
  llamacpp: llamaCppDialect,
};

/** Those that come with Baton, for configurations to choose from. */
export const DIALECT_NAMES: readonly InTreeDialectName[] = Object.keys(IN_TREE) as InTreeDialectName[];

/** One for the process, as the connections are: an endpoint is named by its dialect wherever it is called. */
const known = new Map<string, Dialect>(Object.entries(IN_TREE));

/** The names of all that there are now, sorted. */
export function dialectNames(): readonly string[] {
  return [...known.keys()].sort();
}

/** Whether there is a dialect of that name now. */
export function hasDialect(name: string): boolean {
  return known.has(name);
}

/**
 * The dialect of that name; `openai` when none is named.
 *
 * @throws InferenceError 503 `unknown_dialect` when there is none of that name (any more).
 */
export function dialectOf(name: DialectName = 'openai'): Dialect {
  const dialect = known.get(name);
  if (dialect !== undefined) return dialect;
  throw new InferenceError(`There is no dialect named "${name}". Known: ${dialectNames().join(', ')}.`, {
    status: 503,
    code: 'unknown_dialect',
  });
}

/**
 * Takes dialects out and puts others in, in one step. Calls that are under way stay with the dialect that they began with.
 *
 * @param remove names; those that are not there are passed over.
 * @throws Error when one that comes with Baton would be removed, or two would have one name; nothing is changed then.
 */
export function swapDialects(remove: readonly string[], add: readonly Dialect[]): void {
  const taken = new Set(dialectNames().filter((name) => !remove.includes(name)));
  for (const name of remove) {
    if (Object.hasOwn(IN_TREE, name)) throw new Error(`The dialect "${name}" comes with Baton and stays.`);
  }
  for (const { name } of add) {
    if (taken.has(name)) throw new Error(`Two dialects are named "${name}". Rename one of them.`);
    taken.add(name);
  }
  for (const name of remove) known.delete(name);
  for (const dialect of add) known.set(dialect.name, dialect);
}
