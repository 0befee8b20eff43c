import { InstanceProcess } from '../../support/instance-process.js';
import { startPrefill } from '../../support/pair.js';
import { idle } from '../../support/quiescence.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { KvFiles } from './kv-files.js';
import type { Aftermath } from './phases.js';
import { RELEASE_TIMEOUT_MS } from './plan.js';
import type { Visit } from './visit.js';

/** Legs reach D so late that the gap has a real share of a request's life. */
const GAP_MS = 15;
const ONE_THREAD = { BATON_ENGINE_THREADS: '1', BATON_ENGINE_INSTANCES_ON_MACHINE: '2' };

/** Two instances with the embedded engine. P is what clients call. */
export class EmbeddedRig {
  private constructor(
    readonly prefill: InstanceProcess,
    readonly decode: InstanceProcess,
    private readonly proxy: FaultProxy,
    /** Of P. */
    readonly files: KvFiles,
  ) {}

  static async start(): Promise<EmbeddedRig> {
    const decode = await InstanceProcess.start({ ...ONE_THREAD, BATON_KV_PEERS: '127.0.0.1:*' });
    const proxy = await FaultProxy.before(decode.url);
    proxy.plan = { delayMs: GAP_MS };
    const prefill = await startPrefill(proxy.url, {
      BATON_COORDINATION_RELEASE_TIMEOUT_MS: String(RELEASE_TIMEOUT_MS),
    });
    return new EmbeddedRig(prefill, decode, proxy, await KvFiles.of(prefill));
  }

  /** Waits until neither holds anything. */
  quiet(withinMs: number): Promise<number> {
    return idle([this.prefill, this.decode], withinMs);
  }

  /** What became of a visit that was alone, when all is quiet again. `gap` is up to the end of the transfer. */
  aftermathOf({ leftAtMs }: Visit): Aftermath {
    const files = this.files.all;
    const removed = files.map(({ removedAtMs = Infinity }) => removedAtMs);
    const strandedMs = Math.max(0, ...removed.map((at) => at - leftAtMs));
    const wasMade = files.some(({ madeAtMs }) => madeAtMs <= leftAtMs);
    const phase = !wasMade ? 'prefilling' : strandedMs > 0 ? 'gap' : 'decoding';
    const freedBy = files.length === 0 ? undefined : strandedMs > 0 ? 'released' : 'taken';
    return { phase, strandedMs, freedBy, abortMs: undefined, decodedTokens: 0 };
  }

  async stop(): Promise<void> {
    this.files.close();
    await Promise.all([this.prefill.stop(), this.decode.stop(), this.proxy.stop()]);
  }
}
