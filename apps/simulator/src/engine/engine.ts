import type { FaultSet } from '../faults/fault-set.js';
import type { JsonObject } from '../json.js';
import type { KvTransfer } from '../kv/kv-transfer.js';
import type { KvLedger } from '../ledger/kv-ledger.js';
import type { ActiveRun, EngineCounts, EngineHost } from './engine-host.js';
import type { EngineOptions } from './engine-options.js';
import { PrefixCache } from './prefix-cache.js';
import { Run, type Job } from './run.js';
import { Scheduler } from './scheduler.js';

/** The simulated engine: runs prompts, whatever protocol they came by. */
export class Engine implements EngineHost {
  readonly runs = new Set<ActiveRun>();
  readonly scheduler: Scheduler;
  readonly prefixCache: PrefixCache;
  readonly counts: EngineCounts = { promptTokens: 0, generationTokens: 0, finished: {} };
  readonly startedAtMs = Date.now();

  constructor(
    readonly options: EngineOptions,
    readonly ledger: KvLedger,
    readonly faults: FaultSet,
    /** Undefined: caches stay where they are. */
    readonly kv: KvTransfer | undefined,
    readonly log: (message: string, facts: JsonObject) => void,
  ) {
    const { maxRunning, maxQueued, dataParallelSize, prefixCaching } = options;
    this.scheduler = new Scheduler({ maxRunning, maxQueued }, ledger, dataParallelSize);
    this.prefixCache = new PrefixCache(prefixCaching, ledger.blockTokens);
  }

  run(job: Job): Run {
    return new Run(this, job);
  }

  /** Ends the runs whose clients know them under this id; those that do not exist are no error. */
  abort(id: string): number {
    const named = [...this.runs].filter((run) => run.job.id === id);
    for (const run of named) run.abort();
    return named.length;
  }

  /** The rank that a request asks for, or the one that has least to do. */
  rankFor(asked: string | string[] | undefined): number {
    const rank = typeof asked === 'string' && /^\d+$/.test(asked) ? Number(asked) : undefined;
    return rank !== undefined && rank < this.options.dataParallelSize ? rank : this.scheduler.leastLoadedRank();
  }
}
