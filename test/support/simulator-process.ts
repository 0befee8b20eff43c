import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../apps/simulator/dist/main.js', import.meta.url));

/** Command-line options of the simulator; `true` for a switch. */
export type SimulatorFlags = Readonly<Record<string, string | number | true>>;

type Json = Record<string, unknown>;

/** A simulated engine server in a process of its own, on ports that the system chose. */
export class SimulatorProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly ready: Readonly<Record<string, unknown>>,
  ) {}

  /** Starts a simulator; resolves when it listens. */
  static async start(flags: SimulatorFlags): Promise<SimulatorProcess> {
    const args = Object.entries(flags).flatMap(([name, value]) =>
      value === true ? [`--${name}`] : [`--${name}`, String(value)],
    );
    const child = fork(MAIN, args, { execArgv: [], env: { PATH: process.env['PATH'] }, silent: true });
    const output: string[] = [];
    child.stdout?.on('data', (data: Buffer) => output.push(String(data)));
    child.stderr?.on('data', (data: Buffer) => output.push(String(data)));
    const ended = once(child, 'exit').then(() => {
      throw new Error(`The simulator ended before it was ready:\n${output.join('')}`);
    });
    const [message] = (await Promise.race([once(child, 'message'), ended])) as [Json];
    ended.catch(() => undefined);
    return new SimulatorProcess(child, message);
  }

  get url(): string {
    return String(this.ready['url']);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** A port that it said it listens on, besides its HTTP port. */
  port(name: 'port' | 'kvPort' | 'bootstrapPort' | 'zmqPort'): number {
    const port = this.ready[name];
    if (typeof port !== 'number') throw new Error(`The simulator has no ${name}: ${JSON.stringify(this.ready)}`);
    return port;
  }

  /** `GET /sim/...`. */
  async get(path: 'ledger' | 'kv' | 'requests' | 'state' | 'faults'): Promise<Json> {
    return (await (await fetch(`${this.url}/sim/${path}`)).json()) as Json;
  }

  /** Replaces the misbehaviours that are switched on. */
  async misbehave(faults: unknown): Promise<void> {
    const response = await fetch(`${this.url}/sim/faults`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(faults),
    });
    if (!response.ok) throw new Error(`The simulator refused these faults: ${await response.text()}`);
  }

  /** Forgets the requests it has seen, and the caches that were freed. */
  async forget(): Promise<void> {
    await Promise.all(['requests', 'kv'].map((what) => fetch(`${this.url}/sim/${what}`, { method: 'DELETE' })));
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
  }
}
