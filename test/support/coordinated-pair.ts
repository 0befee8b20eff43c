import { eventually } from './eventually.js';
import { InstanceProcess } from './instance-process.js';
import { SimulatorProcess, type SimulatorFlags } from './simulator-process.js';

/** A coordinator that computes nothing, in front of two simulated engine servers: three processes. */
export interface CoordinatedPair {
  readonly prefill: SimulatorProcess;
  readonly decode: SimulatorProcess;
  readonly coordinator: InstanceProcess;
  stop(): Promise<void>;
}

/** What of a {@link CoordinatedPair} may differ from two vLLM servers with NIXL. */
export interface CoordinatedPairOptions {
  /** What both simulators are started with. */
  readonly flags?: SimulatorFlags;
  /** Of the coordinator. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a pair, of vLLM servers with NIXL unless `options` say otherwise. */
export async function startCoordinatedPair({
  flags = { dialect: 'vllm', kv: 'nixl' },
  settings = {},
}: CoordinatedPairOptions = {}): Promise<CoordinatedPair> {
  const [prefill, decode] = await Promise.all([SimulatorProcess.start(flags), SimulatorProcess.start(flags)]);
  const coordinator = await InstanceProcess.start({
    BATON_ENGINE_KIND: 'none',
    BATON_COORDINATION_CONNECTOR: String(flags['kv']),
    BATON_COORDINATION_PREFILL_DIALECT: String(flags['dialect']),
    BATON_COORDINATION_PREFILL_ENDPOINTS: prefill.url,
    BATON_COORDINATION_DECODE_DIALECT: String(flags['dialect']),
    BATON_COORDINATION_DECODE_ENDPOINTS: decode.url,
    ...settings,
  });
  return {
    prefill,
    decode,
    coordinator,
    stop: async () => {
      await Promise.all([coordinator.stop(), prefill.stop(), decode.stop()]);
    },
  };
}

/** Waits until no simulator holds KV blocks or runs a request. */
export function nothingHeld(simulators: readonly SimulatorProcess[], withinMs = 2_000): Promise<number> {
  return eventually(
    'no simulator holds anything',
    async () => {
      const states = await Promise.all(simulators.map((simulator) => simulator.get('state')));
      return states.every(
        (state) => state['blocksFree'] === state['blocksTotal'] && state['running'] === 0 && state['waiting'] === 0,
      );
    },
    withinMs,
  );
}
