import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { nothingHeld } from '../support/coordinated-pair.js';
import { eventually } from '../support/eventually.js';
import { InstanceProcess } from '../support/instance-process.js';
import { ask, FLOWS } from '../support/requests.js';
import { SimulatorProcess, type SimulatorFlags } from '../support/simulator-process.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const EXAMPLES = join(ROOT, 'examples');

/** What of an example says which servers stand beside it. */
interface Example {
  readonly engine: { readonly kind: string; readonly dialect?: string };
  readonly coordination?: {
    readonly connector: string;
    readonly prefill?: { readonly dialect: string };
    readonly decode?: { readonly dialect: string };
  };
}

const exampleOf = (name: string): Example => parse(readFileSync(join(EXAMPLES, name), 'utf8')) as Example;

/** Ports of the examples: the first server prefills (or does everything), the second decodes. */
const [FIRST, SECOND, BOOTSTRAP, OWN] = ['http://127.0.0.1:8100', 'http://127.0.0.1:8200', '127.0.0.1:8998', '8000'];

async function startServers(name: string): Promise<SimulatorProcess[]> {
  const { engine, coordination } = exampleOf(name);
  const flags = (dialect: string | undefined, role: string): SimulatorFlags => ({
    dialect: dialect ?? engine.dialect ?? 'none',
    kv: coordination?.connector ?? 'none',
    role,
  });
  if (coordination === undefined) return [await SimulatorProcess.start(flags(undefined, 'both'))];
  const hasRoles = ['mooncake', 'sglang'].includes(coordination.connector);
  return Promise.all([
    SimulatorProcess.start(flags(coordination.prefill?.dialect, hasRoles ? 'prefill' : 'both')),
    SimulatorProcess.start(flags(coordination.decode?.dialect, hasRoles ? 'decode' : 'both')),
  ]);
}

describe('the examples', () => {
  let directory: string;
  const servers: SimulatorProcess[] = [];
  const processes: { stop(): Promise<unknown> }[] = [];

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'baton-examples-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));
  afterEach(async () => {
    await Promise.all([...servers.splice(0), ...processes.splice(0)].map((process) => process.stop()));
  });

  /** A copy of the example for servers that were started for it, on ports that the system chose. */
  const copyOf = async (name: string): Promise<string> => {
    const [first, second] = await startServers(name);
    servers.push(...[first, second].filter((server) => server !== undefined));
    let text = readFileSync(join(EXAMPLES, name), 'utf8')
      .replaceAll(FIRST, first!.url)
      .replace(`port: ${OWN}`, 'port: 0');
    if (second !== undefined) text = text.replaceAll(SECOND, second.url);
    if (text.includes(BOOTSTRAP)) text = text.replaceAll(BOOTSTRAP, `127.0.0.1:${first!.port('bootstrapPort')}`);
    const copy = join(directory, name);
    writeFileSync(copy, text);
    return copy;
  };

  it.each(readdirSync(EXAMPLES))('%s serves as it says', async (name) => {
    const instance = await InstanceProcess.start({}, await copyOf(name));
    processes.push(instance);
    const legs = async (): Promise<string[]> =>
      (await Promise.all(servers.map((server) => server.get('requests'))))
        .flatMap((requests) => requests as unknown as { leg: string }[])
        .map(({ leg }) => leg);
    // Longer than what an example may keep on one server.
    const prompt = 'Tell me a story about a fox named Ivy and a silver key. '.repeat(8);
    for (const flow of FLOWS.slice(0, 2)) {
      const answer = await ask(instance.url, flow, { model: 'sim', ...flow.body(prompt, [], 6) }, { stream: true });
      expect(answer).toMatchObject({ status: 200, finishReason: 'length', isDone: true });
      expect(answer.said.trim().split(' ')).toHaveLength(6);
    }
    const split = exampleOf(name).coordination !== undefined;
    expect((await legs()).sort()).toEqual(split ? ['decode', 'decode', 'prefill', 'prefill'] : ['none', 'none']);
    if (split) await nothingHeld(servers);
    expect((await fetch(`${instance.url}/health/ready`)).status).toBe(200);
    expect(await instance.stop()).toBe(0);
  });

  it('npm run start:coordinator and npm run start:simulator run vllm-pd.yaml, and end when they are told to', async () => {
    // One after another: each of them looks first whether there is something to build.
    const started = async (script: string, args: readonly string[]): Promise<[NpmRun, string]> => {
      const run = new NpmRun(script, args);
      processes.push(run);
      return [run, await run.url()];
    };
    const server = ['--dialect', 'vllm', '--kv', 'nixl', '--port', '0'];
    const [prefill, prefillUrl] = await started('start:simulator', server);
    const [decode, decodeUrl] = await started('start:simulator', server);
    const copy = join(directory, 'by-npm.yaml');
    const text = readFileSync(join(EXAMPLES, 'vllm-pd.yaml'), 'utf8');
    writeFileSync(
      copy,
      text.replaceAll(FIRST, prefillUrl).replaceAll(SECOND, decodeUrl).replace(`port: ${OWN}`, 'port: 0'),
    );
    const [coordinator, url] = await started('start:coordinator', ['--config', copy]);

    const flow = FLOWS[1]!;
    const answer = await ask(url, flow, { model: 'sim', ...flow.body('Tell me a story.', [], 6) }, { stream: true });
    expect(answer).toMatchObject({ status: 200, finishReason: 'length', isDone: true });
    expect(answer.headers.get('x-baton-manager')).toBe('prefill-remote-decode-remote');

    for (const run of [coordinator, prefill, decode]) {
      const all = run.processes;
      expect(all.length).toBeGreaterThan(1);
      expect(await run.stop('SIGTERM')).toBe(0);
      await eventually('nothing is left', () => !all.some(isAlive));
    }
  });
});

/** `npm run ...`, in a process group of its own. */
class NpmRun {
  #output = '';
  readonly #child: ChildProcess;

  constructor(script: string, args: readonly string[]) {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(BATON_|NODE_OPTIONS|JEST_|npm_)/.test(name));
    this.#child = spawn('npm', ['run', script, '--', ...args], {
      cwd: ROOT,
      detached: true,
      env: Object.fromEntries(inherited),
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (data: Buffer) => (this.#output += String(data)));
  }

  /** Where it says that it listens. */
  async url(): Promise<string> {
    const found = (): string | undefined => /"url":"(http:[^"]+)"/.exec(this.#output)?.[1];
    await eventually('it is ready', () => found() !== undefined || this.#child.exitCode !== null, 60_000);
    const url = found();
    if (url === undefined) throw new Error(`It ended before it was ready:\n${this.#output}`);
    return url;
  }

  /** It and what it started, and so on. */
  get processes(): number[] {
    const below = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(below)];
    return below(this.#child.pid!);
  }

  /** Tells npm alone, as a supervisor would. The rest of its group is killed when that was not enough. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return exitCode;
    const exited = once(this.#child, 'exit') as Promise<[number | null]>;
    if (signal === 'SIGKILL') process.kill(-this.#child.pid!, signal);
    else this.#child.kill(signal);
    return (await exited)[0];
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    // A zombie that nobody reaps has ended as well.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
