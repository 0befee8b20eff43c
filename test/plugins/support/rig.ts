import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAll } from '../../support/deployment.js';
import { InstanceProcess } from '../../support/instance-process.js';
import { SimulatorProcess } from '../../support/simulator-process.js';
import { ADMIN_KEY, AdminClient, OPERATOR } from './admin-client.js';
import { PluginFolder } from './plugin-folder.js';

type Section = Readonly<Record<string, unknown>>;

/** What of an instance with plugins may differ. */
export interface PluginInstanceOptions {
  readonly directories: readonly string[];
  /** Options of plugins, by name. */
  readonly plugins?: Section;
  readonly pluginHost?: Section;
  readonly coordination?: Section;
  /** Imported before the instance's own modules. */
  readonly preloads?: readonly URL[];
}

/** A pair of simulated vLLM servers, and what starts coordinators with plugins in front of them. */
export class PluginRig {
  private constructor(
    readonly prefill: SimulatorProcess,
    readonly decode: SimulatorProcess,
    /** Where the instances stage their plugins. */
    readonly staging: string,
    private readonly stops: (() => Promise<unknown>)[],
  ) {}

  static async start(): Promise<PluginRig> {
    const simulator = (): Promise<SimulatorProcess> => SimulatorProcess.start({ dialect: 'vllm', kv: 'nixl' });
    const simulators = await startAll([simulator, simulator]);
    const [prefill, decode] = simulators as [SimulatorProcess, SimulatorProcess];
    const staging = await mkdtemp(join(tmpdir(), 'baton-staging-'));
    return new PluginRig(prefill, decode, staging, [
      ...simulators.map((one) => () => one.stop()),
      () => rm(staging, { recursive: true, force: true }),
    ]);
  }

  /** Starts an instance; it ends with the rig at the latest. */
  async instance(options: PluginInstanceOptions): Promise<{ instance: InstanceProcess; admin: AdminClient }> {
    const { directories, plugins = {}, pluginHost = {}, coordination = {}, preloads } = options;
    const pool = ({ url }: SimulatorProcess): Section => ({ dialect: 'vllm', endpoints: [url] });
    const file = join(tmpdir(), `plugins-${randomUUID()}.yaml`);
    const config = {
      engine: { kind: 'none' },
      coordination: { connector: 'nixl', prefill: pool(this.prefill), decode: pool(this.decode), ...coordination },
      security: { adminKeys: [`${OPERATOR}:${ADMIN_KEY}`] },
      pluginDirectories: directories,
      pluginHost: { stagingDirectory: this.staging, ...pluginHost },
      plugins,
    };
    await writeFile(file, JSON.stringify(config));
    try {
      const instance = await InstanceProcess.start({ BATON_LOG_LEVEL: 'info' }, file, preloads);
      this.stops.unshift(() => instance.stop('SIGKILL'));
      return { instance, admin: new AdminClient(instance.url) };
    } finally {
      await rm(file, { force: true });
    }
  }

  /** A directory for plugins; it is removed with the rig. */
  async folder(): Promise<PluginFolder> {
    const folder = await PluginFolder.create();
    this.stops.push(() => folder.delete());
    return folder;
  }

  async stop(): Promise<void> {
    for (const stop of this.stops.splice(0)) await stop();
  }
}
