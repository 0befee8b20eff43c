import { InstanceProcess } from '../../support/instance-process.js';
import { SimulatorProcess, type SimulatorFlags } from '../../support/simulator-process.js';
import { FaultProxy } from '../support/fault-proxy.js';
import type { Watched } from '../support/quiet.js';

/** A coordinator before a simulated P and D, with a fault proxy on the way to either. */
export interface Rig {
  readonly instance: InstanceProcess;
  readonly prefill: SimulatorProcess;
  readonly decode: SimulatorProcess;
  readonly toPrefill: FaultProxy;
  readonly toDecode: FaultProxy;
  /** What has to come to rest. */
  readonly watched: readonly Watched[];
  stop(): Promise<void>;
}

/** What of a {@link Rig} may differ. */
export interface RigOptions {
  readonly flags?: SimulatorFlags;
  /** `BATON_*` settings of the coordinator. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The host that the coordinator knows both sides by; default: their address. */
  readonly host?: string;
  readonly preloads?: readonly URL[];
}

export async function startRig({ flags = {}, settings = {}, host, preloads = [] }: RigOptions = {}): Promise<Rig> {
  // Idle connections go soon, since it is waited for.
  const common = { dialect: 'vllm', kv: 'nixl', 'keep-alive-ms': 4_000 };
  const start = (): Promise<SimulatorProcess> => SimulatorProcess.start({ ...common, ...flags });
  const [prefill, decode] = await Promise.all([start(), start()]);
  const [toPrefill, toDecode] = [await FaultProxy.before(prefill.url), await FaultProxy.before(decode.url)];
  const called = ({ url, port }: FaultProxy): string => (host === undefined ? url : `http://${host}:${port}`);
  const kv = [prefill, decode].map((simulator) => `127.0.0.1:${simulator.port('kvPort')}`).join(',');
  const instance = await InstanceProcess.start(
    {
      BATON_ENGINE_KIND: 'none',
      BATON_COORDINATION_CONNECTOR: 'nixl',
      BATON_COORDINATION_PREFILL_DIALECT: 'vllm',
      BATON_COORDINATION_PREFILL_ENDPOINTS: called(toPrefill),
      BATON_COORDINATION_DECODE_DIALECT: 'vllm',
      BATON_COORDINATION_DECODE_ENDPOINTS: called(toDecode),
      BATON_KV_PEERS: kv,
      BATON_LOG_LEVEL: 'error',
      // Not told of a shorter lease than the usual one, it would let D read blocks that P has given to others.
      ...('kv-lease-ms' in flags && { BATON_COORDINATION_LEASE_MS: String(flags['kv-lease-ms']) }),
      ...settings,
    },
    undefined,
    preloads,
  );
  const stop = async (): Promise<void> => {
    await Promise.all([instance, prefill, decode, toPrefill, toDecode].map((each) => each.stop()));
  };
  return { instance, prefill, decode, toPrefill, toDecode, watched: [instance, prefill, decode], stop };
}
