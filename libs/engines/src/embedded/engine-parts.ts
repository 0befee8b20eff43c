import type { EngineCounters } from './engine-counters.js';
import type { HandoffPull } from './handoff/handoff-pull.js';
import type { HandoffStore } from './handoff/handoff-store.js';
import type { LlamaRuntime } from './llama/llama-runtime.js';
import type { PrivateDirectory } from './handoff/private-directory.js';
import type { SequencePool } from './llama/sequence-pool.js';
import type { SequenceSlot } from './llama/sequence-slot.js';

/** What a running engine consists of. */
export interface EngineParts {
  readonly engineId: string;
  readonly runtime: LlamaRuntime;
  readonly pool: SequencePool<SequenceSlot>;
  readonly counters: EngineCounters;
  readonly directory: PrivateDirectory;
  readonly handoffs: HandoffStore;
  readonly pull: HandoffPull;
  /** Where other instances reach the side channel. */
  readonly advertised: { readonly host: string; readonly port: number };
}
