import type { Dialect } from './dialect.js';
import { llamacpp } from './llamacpp/llamacpp.js';
import { sglang } from './sglang/sglang.js';
import { trtllm } from './trtllm/trtllm.js';
import { vllm } from './vllm/vllm.js';

/** The dialects by the name that `--dialect` selects them by. */
export const DIALECTS: Readonly<Record<string, Dialect>> = { vllm, sglang, trtllm, llamacpp };
