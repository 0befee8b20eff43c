import type { EngineMetric } from '../engine.js';

/** Why a handoff could not be used, so that its prompt was evaluated again. */
export type RecomputeReason = 'lost' | 'mismatch' | 'damaged' | 'timeout' | 'too_large';
/** Where the KV of prompt tokens came from. */
export type PromptSource = 'evaluated' | 'prefix_cache' | 'handoff';
/** Work whose duration is counted: evaluating prompts; bringing in the KV states of others. */
export type TimedWork = 'prefill' | 'handoff';
/** How a handoff ended. */
export type HandoffOutcome = 'taken' | 'released' | 'expired' | 'failed';

const zero = <Key extends string>(...keys: Key[]): Record<Key, number> =>
  Object.fromEntries(keys.map((key) => [key, 0])) as Record<Key, number>;

/** Counts what the engine has done since it started. */
export class EngineCounters {
  readonly promptTokens = zero<PromptSource>('evaluated', 'prefix_cache', 'handoff');
  readonly handoffs = zero<HandoffOutcome>('taken', 'released', 'expired', 'failed');
  readonly handoffBytes = zero('sent', 'received');
  readonly recomputed = zero<RecomputeReason>('lost', 'mismatch', 'damaged', 'timeout', 'too_large');
  sampledTokens = 0;
  readonly #seconds = zero<TimedWork>('prefill', 'handoff');

  /** Runs `work` and adds its duration. */
  async time<T>(kind: TimedWork, work: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    try {
      return await work();
    } finally {
      this.#seconds[kind] += (performance.now() - startMs) / 1000;
    }
  }

  /** The counters as metrics. */
  metrics(): EngineMetric[] {
    return [
      labelled('engine_prompt_tokens_total', 'Prompt tokens by where their KV came from.', 'source', this.promptTokens),
      single('engine_sampled_tokens_total', 'Tokens sampled.', this.sampledTokens),
      single('engine_prefill_seconds_total', 'Time spent evaluating prompts.', this.#seconds.prefill),
      single('engine_handoff_seconds_total', 'Time spent pulling and loading KV states.', this.#seconds.handoff),
      labelled('engine_handoffs_total', 'KV states kept for others, by how they ended.', 'outcome', this.handoffs),
      labelled('engine_handoff_bytes_total', 'Bytes of KV state transferred.', 'direction', this.handoffBytes),
      labelled(
        'engine_handoff_recomputed_total',
        'Handoffs that could not be used, so that the prompt was evaluated here.',
        'reason',
        this.recomputed,
      ),
    ];
  }
}

function single(name: string, help: string, value: number): EngineMetric {
  return { name, help, type: 'counter', samples: [{ value }] };
}

function labelled(name: string, help: string, label: string, values: Record<string, number>): EngineMetric {
  const samples = Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }));
  return { name, help, type: 'counter', samples };
}
