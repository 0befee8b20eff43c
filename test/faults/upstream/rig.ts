import { readFile } from 'node:fs/promises';
import { InstanceProcess } from '../../support/instance-process.js';
import { SimulatorProcess, type SimulatorFlags } from '../../support/simulator-process.js';
import { FaultProxy } from '../support/fault-proxy.js';
import type { Watched } from '../support/quiet.js';

/** A coordinator before one simulated P and two Ds, with a fault proxy on the way to each D. */
export interface Rig {
  readonly instance: InstanceProcess;
  readonly prefill: SimulatorProcess;
  readonly decodes: readonly [SimulatorProcess, SimulatorProcess];
  readonly proxies: readonly [FaultProxy, FaultProxy];
  /** What has to come to rest. */
  readonly watched: readonly Watched[];
  stop(): Promise<void>;
}

/** What of a {@link Rig} may differ. */
export interface RigOptions {
  readonly flags?: { readonly prefill?: SimulatorFlags; readonly decode?: SimulatorFlags };
  /** `BATON_*` settings of the coordinator. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where decode legs go besides; these come first. */
  readonly alsoDecodes?: readonly string[];
}

export async function startRig({ flags = {}, settings = {}, alsoDecodes = [] }: RigOptions): Promise<Rig> {
  const common = { dialect: 'vllm', kv: 'nixl', 'keep-alive-ms': 4_000 };
  const [prefill, first, second] = await Promise.all([
    SimulatorProcess.start({ ...common, ...flags.prefill }),
    SimulatorProcess.start({ ...common, ...flags.decode }),
    SimulatorProcess.start({ ...common, ...flags.decode }),
  ]);
  const proxies = [await FaultProxy.before(first.url), await FaultProxy.before(second.url)] as const;
  const simulators = [prefill, first, second];
  const instance = await InstanceProcess.start({
    BATON_ENGINE_KIND: 'none',
    BATON_COORDINATION_CONNECTOR: 'nixl',
    BATON_COORDINATION_PREFILL_DIALECT: 'vllm',
    BATON_COORDINATION_PREFILL_ENDPOINTS: prefill.url,
    BATON_COORDINATION_DECODE_DIALECT: 'vllm',
    BATON_COORDINATION_DECODE_ENDPOINTS: [...alsoDecodes, ...proxies.map(({ url }) => url)].join(','),
    BATON_KV_PEERS: simulators.map((simulator) => `127.0.0.1:${simulator.port('kvPort')}`).join(','),
    BATON_LOG_LEVEL: 'error',
    ...settings,
  });
  const stop = async (): Promise<void> => {
    await Promise.all([instance, ...simulators, ...proxies].map((each) => each.stop()));
  };
  return { instance, prefill, decodes: [first, second], proxies, watched: [instance, ...simulators], stop };
}

/** The state of a process as the system sees it: `T` when it was stopped. */
export async function stateOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '';
}
