import type { Dialect, DialectName } from './dialect.js';
import { llamaCppDialect } from './llamacpp.dialect.js';
import { openAiDialect } from './openai.dialect.js';
import { sglangDialect } from './sglang.dialect.js';
import { trtLlmDialect } from './trtllm.dialect.js';
import { vllmDialect } from './vllm.dialect.js';

const DIALECTS: Readonly<Record<DialectName, Dialect>> = {
  openai: openAiDialect,
  vllm: vllmDialect,
  sglang: sglangDialect,
  trtllm: trtLlmDialect,
  llamacpp: llamaCppDialect,
};

/** All of them, for configurations to choose from. */
export const DIALECT_NAMES: readonly DialectName[] = Object.values(DIALECTS).map(({ name }) => name);

/** The dialect of that name; `openai` when none is named. */
export function dialectOf(name: DialectName = 'openai'): Dialect {
  return DIALECTS[name];
}
