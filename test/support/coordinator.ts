import { InstanceProcess } from './instance-process.js';
import { SimulatorProcess, type SimulatorFlags } from './simulator-process.js';

/** A coordinator that computes nothing, before simulated vLLM servers with NIXL: some that prefill, one that decodes. */
export interface Coordinator {
  readonly instance: InstanceProcess;
  readonly prefills: readonly SimulatorProcess[];
  readonly decode: SimulatorProcess;
  stop(): Promise<void>;
}

/** What of a {@link Coordinator} may differ. */
export interface CoordinatorOptions {
  /** How many servers prefill. */
  readonly prefills?: number;
  /** What all simulators are started with besides. */
  readonly flags?: SimulatorFlags;
  /** `BATON_*` settings of the coordinator. */
  readonly settings?: Readonly<Record<string, string>>;
}

export async function startCoordinator(options: CoordinatorOptions = {}): Promise<Coordinator> {
  const { prefills: count = 1, flags = {}, settings = {} } = options;
  const start = (): Promise<SimulatorProcess> => SimulatorProcess.start({ dialect: 'vllm', kv: 'nixl', ...flags });
  const [decode, ...prefills] = await Promise.all([start(), ...Array.from({ length: count }, start)]);
  const instance = await InstanceProcess.start({
    BATON_ENGINE_KIND: 'none',
    BATON_COORDINATION_CONNECTOR: 'nixl',
    BATON_COORDINATION_PREFILL_DIALECT: 'vllm',
    BATON_COORDINATION_PREFILL_ENDPOINTS: prefills.map(({ url }) => url).join(','),
    BATON_COORDINATION_DECODE_DIALECT: 'vllm',
    BATON_COORDINATION_DECODE_ENDPOINTS: decode.url,
    ...settings,
  });
  const stop = async (): Promise<void> => {
    await Promise.all([instance, decode, ...prefills].map((process) => process.stop()));
  };
  return { instance, prefills, decode, stop };
}
