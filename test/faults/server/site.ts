import { InstanceProcess } from '../../support/instance-process.js';
import { SimulatorProcess } from '../../support/simulator-process.js';

/** A prompt of some 40 tokens: 4 ms of prefill, then 20 ms for each token. */
const LATENCIES = { 'prefill-us-per-token': 100, 'decode-us-per-token': 20_000 };
/** What one token takes. */
export const TOKEN_MS = LATENCIES['decode-us-per-token'] / 1_000;

/** Two simulated servers, before which coordinators can be started. */
export class Site {
  readonly #instances: InstanceProcess[] = [];

  private constructor(
    readonly prefill: SimulatorProcess,
    readonly decode: SimulatorProcess,
  ) {}

  static async start(): Promise<Site> {
    const start = (): Promise<SimulatorProcess> =>
      SimulatorProcess.start({
        dialect: 'vllm',
        kv: 'nixl',
        'max-running': 4_096,
        'keep-alive-ms': 4_000,
        ...LATENCIES,
      });
    const [prefill, decode] = await Promise.all([start(), start()]);
    return new Site(prefill, decode);
  }

  get simulators(): readonly SimulatorProcess[] {
    return [this.prefill, this.decode];
  }

  /** A coordinator with more `BATON_*` settings, which imports modules of this folder before its own. */
  async instance(
    settings: Readonly<Record<string, string>>,
    preloads: readonly string[] = [],
  ): Promise<InstanceProcess> {
    const instance = await InstanceProcess.start(
      {
        BATON_ENGINE_KIND: 'none',
        BATON_COORDINATION_CONNECTOR: 'nixl',
        BATON_COORDINATION_PREFILL_DIALECT: 'vllm',
        BATON_COORDINATION_PREFILL_ENDPOINTS: this.prefill.url,
        BATON_COORDINATION_DECODE_DIALECT: 'vllm',
        BATON_COORDINATION_DECODE_ENDPOINTS: this.decode.url,
        BATON_LOG_LEVEL: 'error',
        ...settings,
      },
      undefined,
      preloads.map((name) => new URL(name, import.meta.url)),
    );
    this.#instances.push(instance);
    return instance;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#instances, ...this.simulators].map((process) => process.stop()));
  }
}
