import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InstanceProcess } from './instance-process.js';
import { SimulatorProcess, type SimulatorFlags } from './simulator-process.js';

/** A connector that simulators stand for both sides of. */
export type SimulatedConnector = 'nixl' | 'mooncake' | 'sglang' | 'trtllm' | 'shared-storage' | 'p2p-nccl' | 'lmcache';

/** A manager that splits requests: it says where the instance stands. */
export type SplitManager =
  'prefill-local-decode-remote' | 'decode-local-prefill-remote' | 'prefill-remote-decode-remote';

export const SIMULATED_CONNECTORS: readonly SimulatedConnector[] = [
  ...(['nixl', 'mooncake', 'p2p-nccl', 'lmcache', 'shared-storage'] as const),
  ...(['sglang', 'trtllm'] as const),
];

export const SPLIT_MANAGERS: readonly SplitManager[] = [
  'prefill-local-decode-remote',
  'decode-local-prefill-remote',
  'prefill-remote-decode-remote',
];

/** A section of an instance's configuration. */
type Section = Readonly<Record<string, unknown>>;

/** Something that runs in processes of its own. */
interface Stoppable {
  stop(): Promise<unknown>;
}

/** What computes both legs of a request, and the instance that splits it. */
export interface Deployment<Side extends Stoppable> {
  readonly prefill: Side;
  readonly decode: Side;
  /** What clients call. */
  readonly instance: InstanceProcess;
  stop(): Promise<void>;
}

/** What differs from a plain deployment. */
export interface DeploymentOptions {
  readonly connector: SimulatedConnector;
  readonly manager: SplitManager;
  /** More flags of the simulators. */
  readonly flags?: { readonly prefill?: SimulatorFlags; readonly decode?: SimulatorFlags };
  /** More of the sections of the instance's configuration. */
  readonly config?: { readonly coordination?: Section; readonly engine?: Section; readonly server?: Section };
  /** More `BATON_*` settings of the instance. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** The dialect that the engines of a connector speak. */
export const dialectOf = (connector: SimulatedConnector): 'vllm' | 'sglang' | 'trtllm' =>
  connector === 'sglang' || connector === 'trtllm' ? connector : 'vllm';

/** Starts two simulated engine servers, and an instance beside the one that the manager has local, or beside none. */
export async function startDeployment(options: DeploymentOptions): Promise<Deployment<SimulatorProcess>> {
  const { connector, manager, flags = {}, config = {}, settings = {} } = options;
  const store = connector === 'shared-storage' ? join(tmpdir(), `store-${randomUUID()}`) : undefined;
  const shared = { dialect: dialectOf(connector), kv: connector, ...(store && { 'store-dir': store }) };
  const simulators = await startAll([
    () => SimulatorProcess.start({ ...shared, role: 'prefill', ...flags.prefill }),
    () => SimulatorProcess.start({ ...shared, role: 'decode', ...flags.decode }),
  ]);
  const [prefill, decode] = simulators as [SimulatorProcess, SimulatorProcess];
  const dialect = dialectOf(connector);
  const sections = sectionsOf(manager, dialect, endpointOf(prefill, connector), endpointOf(decode, connector));
  const file = {
    ...config,
    engine: { ...sections.engine, ...config.engine },
    coordination: { connector, ...sections.coordination, ...config.coordination },
  };
  try {
    const instance = await startInstance(file, settings);
    const stop = async (): Promise<void> => {
      await Promise.all([instance, prefill, decode].map((process) => process.stop()));
      if (store !== undefined) await rm(store, { recursive: true, force: true });
    };
    return { prefill, decode, instance, stop };
  } catch (error) {
    await Promise.all(simulators.map((simulator) => simulator.stop()));
    throw error;
  }
}

const ONE_THREAD = { BATON_ENGINE_THREADS: '1', BATON_ENGINE_INSTANCES_ON_MACHINE: '2' };

/** Starts two instances with the embedded engine; one of them is what clients call, or a third without an engine. */
export async function startEmbeddedDeployment(manager: SplitManager): Promise<Deployment<InstanceProcess>> {
  const kv = { ...ONE_THREAD, BATON_KV_PEERS: '127.0.0.1:*' };
  const split = (...pools: [name: string, at: InstanceProcess][]): Record<string, string> => ({
    ...kv,
    BATON_COORDINATION_CONNECTOR: 'embedded',
    ...Object.fromEntries(pools.map(([name, { url }]) => [`BATON_COORDINATION_${name}_ENDPOINTS`, url])),
  });
  const started: InstanceProcess[] = [];
  const start = async (settings: Record<string, string>): Promise<InstanceProcess> => {
    const instance = await InstanceProcess.start(settings);
    started.push(instance);
    return instance;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((instance) => instance.stop()));
  };
  const of = (prefill: InstanceProcess, decode: InstanceProcess, instance: InstanceProcess) => ({
    ...{ prefill, decode, instance, stop },
  });
  try {
    if (manager === 'prefill-remote-decode-remote') {
      const [prefill, decode] = [await start(kv), await start(kv)];
      const instance = await start({ ...split(['PREFILL', prefill], ['DECODE', decode]), BATON_ENGINE_KIND: 'none' });
      return of(prefill, decode, instance);
    }
    const other = await start(kv);
    const isPrefillLocal = manager === 'prefill-local-decode-remote';
    const instance = await start(split([isPrefillLocal ? 'DECODE' : 'PREFILL', other]));
    return isPrefillLocal ? of(instance, other, instance) : of(other, instance, instance);
  } catch (error) {
    await stop();
    throw error;
  }
}

interface EndpointSection {
  readonly url: string;
  readonly kvAddress?: string;
}

/** How a configuration names a simulator. */
function endpointOf(simulator: SimulatorProcess, connector: SimulatedConnector): EndpointSection {
  const { url } = simulator;
  const port = KV_PORTS[connector]?.(simulator);
  return port === undefined ? { url } : { url, kvAddress: `127.0.0.1:${port}` };
}

/** The port that a connector has to be told, where it has to. An engine that only decodes has no bootstrap server. */
const KV_PORTS: Readonly<Partial<Record<SimulatedConnector, (simulator: SimulatorProcess) => number | undefined>>> = {
  mooncake: (simulator) => simulator.port('bootstrapPort'),
  sglang: (simulator) => simulator.port('bootstrapPort') || undefined,
  'p2p-nccl': (simulator) => simulator.port('zmqPort'),
  lmcache: (simulator) => simulator.port('kvPort'),
};

interface Sections {
  readonly engine: Section;
  readonly coordination: Section;
}

/** Where the legs run, as a configuration says it. */
function sectionsOf(
  manager: SplitManager,
  dialect: string,
  prefill: EndpointSection,
  decode: EndpointSection,
): Sections {
  const pool = (endpoint: EndpointSection): Section => ({ dialect, endpoints: [endpoint] });
  const beside = (endpoint: EndpointSection): Section => ({ kind: 'http', dialect, ...endpoint });
  switch (manager) {
    case 'prefill-local-decode-remote':
      return { engine: beside(prefill), coordination: { decode: pool(decode) } };
    case 'decode-local-prefill-remote':
      return { engine: beside(decode), coordination: { prefill: pool(prefill) } };
    case 'prefill-remote-decode-remote':
      return { engine: { kind: 'none' }, coordination: { prefill: pool(prefill), decode: pool(decode) } };
  }
}

/** A configuration file is read once, at the start. JSON is YAML. */
async function startInstance(config: object, settings: Readonly<Record<string, string>>): Promise<InstanceProcess> {
  const file = join(tmpdir(), `deployment-${randomUUID()}.yaml`);
  await writeFile(file, JSON.stringify(config));
  try {
    return await InstanceProcess.start(settings, file);
  } finally {
    await rm(file, { force: true });
  }
}

/** All at once; when one does not start, none is left. */
export async function startAll<T extends Stoppable>(starts: readonly (() => Promise<T>)[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(starts.map((start) => start()));
  const started = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return started;
  await Promise.all(started.map((each) => each.stop()));
  throw failed.reason;
}
