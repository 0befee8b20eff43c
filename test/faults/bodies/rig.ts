import { InstanceProcess } from '../../support/instance-process.js';
import type { Watched } from '../support/quiet.js';
import { HostileUpstream } from './hostile-upstream.js';
import { PROBE } from './probe.js';

/** An instance before a hostile engine server, and a coordinator before two of them. */
export interface BodiesRig {
  readonly plain: InstanceProcess;
  readonly coordinator: InstanceProcess;
  readonly engine: HostileUpstream;
  readonly prefill: HostileUpstream;
  readonly decode: HostileUpstream;
  readonly instances: readonly InstanceProcess[];
  readonly watched: readonly Watched[];
  /** Inference requests that any of the servers has seen. */
  inferences(): number;
  behaveWell(): void;
  stop(): Promise<void>;
}

export async function startBodiesRig(settings: Readonly<Record<string, string>> = {}): Promise<BodiesRig> {
  const [engine, prefill, decode] = await Promise.all([
    HostileUpstream.start(),
    HostileUpstream.start(),
    HostileUpstream.start(),
  ]);
  const common = { BATON_LOG_LEVEL: 'error', BATON_KV_PEERS: '127.0.0.1:*', ...settings };
  const [plain, coordinator] = await Promise.all([
    InstanceProcess.start(
      {
        ...{ BATON_ENGINE_KIND: 'http', BATON_ENGINE_URL: engine.url, BATON_ENGINE_DIALECT: 'vllm' },
        ...common,
      },
      undefined,
      [PROBE],
    ),
    InstanceProcess.start(
      {
        ...{ BATON_ENGINE_KIND: 'none', BATON_COORDINATION_CONNECTOR: 'nixl' },
        BATON_COORDINATION_PREFILL_ENDPOINTS: prefill.url,
        BATON_COORDINATION_PREFILL_DIALECT: 'vllm',
        BATON_COORDINATION_DECODE_ENDPOINTS: decode.url,
        BATON_COORDINATION_DECODE_DIALECT: 'vllm',
        ...common,
      },
      undefined,
      [PROBE],
    ),
  ]);
  const servers = [engine, prefill, decode];
  const instances = [plain, coordinator];
  return {
    ...{ plain, coordinator, engine, prefill, decode, instances, watched: instances },
    inferences: () => servers.reduce((sum, { inferences }) => sum + inferences, 0),
    behaveWell: () => servers.forEach((server) => server.behaveWell()),
    stop: async () => {
      await Promise.all([...instances, ...servers].map((each) => each.stop()));
    },
  };
}
