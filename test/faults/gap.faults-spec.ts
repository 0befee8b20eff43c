import { prefillLeg } from '../support/prefill-leg.js';
import { dialectOf } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { InstanceProcess } from '../support/instance-process.js';
import { SimulatorProcess } from '../support/simulator-process.js';
import type { KvLife } from '../../apps/simulator/src/ledger/kv-lives.js';
import { bookGap } from './leaving/gap-book.js';
import { KvFiles } from './leaving/kv-files.js';
import { CONTRACTS } from './leaving/plan.js';
import { faultCases, type FaultCase, type Trial } from './support/fault-case.js';

const SCALED_LEASE_MS = 1_000;
const PROMPT = 'Nobody comes for the KV of this prompt.';

/** What a prefill leg asks of an engine to leave its KV behind. */
const ASKING = {
  nixl: { kv_transfer_params: { do_remote_decode: true, do_remote_prefill: false } },
  trtllm: { disaggregated_params: { request_type: 'context_only', disagg_request_id: 7 } },
};

/** What a lease is worth: the KV of prefills that nobody came for, and nobody freed. */
const simulatedLease = (connector: keyof typeof ASKING): FaultCase => ({
  id: `G1 ${connector}`,
  title: 'KV that nobody frees is held until its lease ends',
  runs: { scaled: 4, full: 20 },
  boundMs: { scaled: 30_000, full: 120_000 },
  run: async (trial) => {
    const leaseMs = leaseOf(trial, connector);
    const flags = { dialect: dialectOf(connector), kv: connector, role: 'prefill', 'kv-lease-ms': leaseMs };
    const prefill = await SimulatorProcess.start(flags);
    try {
      for (let run = 0; run < trial.runs; run += 1) {
        const response = await fetch(`${prefill.url}/v1/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', connection: 'close' },
          body: JSON.stringify({ prompt: PROMPT, max_tokens: connector === 'nixl' ? 1 : 8, ...ASKING[connector] }),
        });
        await response.text();
        if (response.ok) trial.injected();
      }
      const lives = async (): Promise<readonly KvLife[]> => (await prefill.get('kv')) as unknown as readonly KvLife[];
      const areFreed = async (): Promise<boolean> => (await lives()).every(({ freedAtMs }) => freedAtMs !== undefined);
      await eventually('every lease has ended', areFreed, leaseMs + 5_000);
      const held = (await lives()).map(({ madeAtMs = 0, freedAtMs = 0, freedBy }) => ({
        strandedMs: freedAtMs - madeAtMs,
        freedBy,
      }));
      check(trial, leaseMs, held);
      if (trial.isFull) bookGap(connector, 'nobody', held);
    } finally {
      await prefill.stop();
    }
  },
});

const embeddedLease: FaultCase = {
  id: 'G1 embedded',
  title: 'KV that nobody frees is held until its lease ends',
  runs: { scaled: 4, full: 20 },
  boundMs: { scaled: 30_000, full: 120_000 },
  run: async (trial) => {
    const leaseMs = leaseOf(trial, 'embedded');
    const prefill = await InstanceProcess.start({
      BATON_ENGINE_THREADS: '1',
      BATON_KV_HANDOFF_TTL_MS: String(leaseMs),
    });
    const files = await KvFiles.of(prefill);
    try {
      for (let run = 0; run < trial.runs; run += 1) {
        await prefillLeg(prefill, { prompt: PROMPT, max_tokens: 1 });
        trial.injected();
      }
      await eventually('every lease has ended', () => files.open === 0, leaseMs + 5_000);
      const held = files.all.map(({ madeAtMs, removedAtMs = Infinity }) => ({
        strandedMs: removedAtMs - madeAtMs,
        freedBy: 'lease_expired',
      }));
      check(trial, leaseMs, held);
      if (trial.isFull) bookGap('embedded', 'nobody', held);
    } finally {
      files.close();
      await prefill.stop();
    }
  },
};

const leaseOf = (trial: Trial, connector: 'nixl' | 'trtllm' | 'embedded'): number =>
  trial.isFull ? (CONTRACTS[connector].leaseMs ?? 0) : SCALED_LEASE_MS;

function check(trial: Trial, leaseMs: number, held: readonly { readonly strandedMs: number }[]): void {
  if (held.length !== trial.runs) trial.failed(`${trial.runs} prefills, ${held.length} caches`);
  for (const { strandedMs } of held) {
    trial.worst('held', strandedMs / 1_000, 's');
    if (strandedMs < leaseMs * 0.9) trial.failed(`something freed it after ${strandedMs} ms`);
  }
}

faultCases('KV that nobody comes for', [simulatedLease('nixl'), simulatedLease('trtllm'), embeddedLease]);
