import type { FaultSet } from '../faults/fault-set.js';
import type { JsonObject } from '../json.js';
import type { KvLedger } from '../ledger/kv-ledger.js';
import type { EngineOptions } from './engine-options.js';
import type { PrefixCache } from './prefix-cache.js';
import type { RunEnd, RunJob } from './running.js';
import type { Scheduler } from './scheduler.js';

/** What the engine has done since its start. */
export interface EngineCounts {
  promptTokens: number;
  generationTokens: number;
  readonly finished: Partial<Record<RunEnd, number>>;
}

/** A run that is under way. */
export interface ActiveRun {
  readonly job: RunJob;
  /** Ends it with finish reason `abort`. */
  abort(): void;
}

/** What a run needs of the engine that it runs on. */
export interface EngineHost {
  readonly options: EngineOptions;
  readonly ledger: KvLedger;
  readonly faults: FaultSet;
  readonly scheduler: Scheduler;
  readonly prefixCache: PrefixCache;
  readonly counts: EngineCounts;
  readonly runs: Set<ActiveRun>;
  readonly log: (message: string, facts: JsonObject) => void;
}
