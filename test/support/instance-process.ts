import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../apps/instance/dist/main.js', import.meta.url));
/** Set by the negative controls of the fault suite: what its instances must not do any more. */
const SABOTAGE =
  process.env['FAULTS_SABOTAGE'] === undefined ? [] : [new URL('../faults/support/sabotage.mjs', import.meta.url)];

/** Tests send legs as other instances do, without a key, unless keys are what they are about. */
const DEFAULTS = { BATON_SERVER_PORT: '0', BATON_LOG_LEVEL: 'warn', BATON_SECURITY_KEYLESS: 'peer' };

/** Tests have no plugins unless they ask for some, in the environment or in the file. */
async function withoutPlugins(file: string | undefined): Promise<Readonly<Record<string, string>>> {
  const asks = file !== undefined && (await readFile(file, 'utf8')).includes('pluginDirectories');
  return asks ? {} : { BATON_PLUGIN_DIRECTORIES: '' };
}

/** An instance of Baton in a process of its own, on ports that the system chose. */
export class InstanceProcess {
  readonly output: string[] = [];

  private constructor(
    readonly child: ChildProcess,
    readonly url: string,
    readonly port: number,
    readonly kvPort: number | undefined,
  ) {}

  /**
   * Starts an instance with `BATON_*` settings (and a configuration file); resolves when it listens.
   *
   * @param preloads modules that are imported before the instance's own.
   */
  static async start(
    settings: Readonly<Record<string, string>>,
    file?: string,
    preloads: readonly URL[] = [],
  ): Promise<InstanceProcess> {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(BATON_|NODE_OPTIONS|JEST_)/.test(name));
    const child = fork(MAIN, file === undefined ? [] : ['--config', file], {
      env: { ...Object.fromEntries(inherited), ...DEFAULTS, ...(await withoutPlugins(file)), ...settings },
      execArgv: [...SABOTAGE, ...preloads].flatMap(({ href }) => ['--import', href]),
      silent: true,
    });
    const output: string[] = [];
    child.stdout?.on('data', (data: Buffer) => output.push(String(data)));
    child.stderr?.on('data', (data: Buffer) => output.push(String(data)));
    const ended = once(child, 'exit').then(() => {
      throw new Error(`The instance ended before it was ready:\n${output.join('')}`);
    });
    const [message] = (await Promise.race([once(child, 'message'), ended])) as [ReadyMessage];
    const instance = new InstanceProcess(child, message.url, message.port, message.kvPort);
    instance.output.push(...output);
    child.stdout?.on('data', (data: Buffer) => instance.output.push(String(data)));
    child.stderr?.on('data', (data: Buffer) => instance.output.push(String(data)));
    ended.catch(() => undefined);
    return instance;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /**
   * The value of one metric, summed over the samples that carry `labels`; 0 when none of its samples does.
   *
   * @throws Error when no metric has that name: a metric that was renamed must not look like one that is 0.
   */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return sumOf(text, name, labels);
  }

  /** One scrape, to read several metrics of the same moment from; as {@link metric}. */
  async metrics(): Promise<(name: string, labels?: Readonly<Record<string, string>>) => number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return (name, labels = {}) => sumOf(text, name, labels);
  }

  /** Ends it as an operator would; resolves with its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }
}

interface ReadyMessage {
  readonly url: string;
  readonly port: number;
  readonly kvPort?: number;
}

function sumOf(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  const samples = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  if (samples.length === 0) throw new Error(`There is no metric ${name}.`);
  return samples
    .filter((line) => Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
