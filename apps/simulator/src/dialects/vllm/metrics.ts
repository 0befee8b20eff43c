import type { Engine } from '../../engine/engine.js';

const FINISHED = { stop: 'stop', length: 'length', abort: 'abort', failed: 'error' } as const;

/** The metrics that schedulers read, under vLLM's names. */
export function metricsText(engine: Engine): string {
  const { scheduler, ledger, counts, options, kv } = engine;
  const model = `model_name="${options.model}"`;
  const lines: string[] = [];
  const metric = (name: string, type: string, help: string, samples: readonly (readonly [string, number])[]): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value] of samples) lines.push(`${name}{${labels}} ${value}`);
  };
  const ranks = Array.from({ length: options.dataParallelSize }, (_, rank) => rank);
  const onRank = (rank: number): string => `engine="${rank}",${model}`;
  const used = ledger.blocks === 0 ? 0 : 1 - ledger.blocksFree / ledger.blocks;

  metric(
    'vllm:num_requests_running',
    'gauge',
    'Requests in execution.',
    ranks.map((rank) => [onRank(rank), scheduler.runningOn(rank)]),
  );
  metric(
    'vllm:num_requests_waiting',
    'gauge',
    'Requests waiting.',
    ranks.map((rank) => [onRank(rank), rank === 0 ? scheduler.waiting : 0]),
  );
  metric(
    'vllm:kv_cache_usage_perc',
    'gauge',
    'KV cache usage, 1 is all of it.',
    ranks.map((rank) => [onRank(rank), used]),
  );
  metric('vllm:prompt_tokens_total', 'counter', 'Prefill tokens.', [[onRank(0), counts.promptTokens]]);
  metric('vllm:generation_tokens_total', 'counter', 'Generated tokens.', [[onRank(0), counts.generationTokens]]);
  metric(
    'vllm:request_success_total',
    'counter',
    'Finished requests by reason.',
    Object.entries(FINISHED).map(([end, reason]) => [
      `${onRank(0)},finished_reason="${reason}"`,
      counts.finished[end as keyof typeof FINISHED] ?? 0,
    ]),
  );
  metric('vllm:admission_rejections_total', 'counter', 'Requests refused at the queue.', [
    [`${model},reason="max_num_queued_reqs"`, scheduler.rejections],
  ]);
  metric('vllm:cache_config_info', 'gauge', 'The KV cache.', [
    [`${onRank(0)},block_size="${ledger.blockTokens}",num_gpu_blocks="${ledger.blocks}"`, 1],
  ]);
  if (kv?.name === 'nixl') {
    metric('vllm:nixl_num_failed_transfers', 'counter', 'Failed transfers.', [
      [onRank(0), Number(kv.counts['failedTransfers'] ?? 0)],
    ]);
    metric('vllm:nixl_num_kv_expired_reqs', 'counter', 'Leases that ended.', [
      [onRank(0), ledger.freedBy('lease_expired')],
    ]);
  }
  return `${lines.join('\n')}\n`;
}
