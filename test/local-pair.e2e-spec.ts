import { afterEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { eventually } from './support/eventually.js';

const MAIN = fileURLToPath(new URL('../apps/local-pair/dist/main.js', import.meta.url));

/** The pair as `npm start` runs it once everything is built. */
class PairCommand {
  output = '';
  readonly child: ChildProcess;

  constructor(env: Readonly<Record<string, string>> = {}) {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(BATON_|NODE_OPTIONS|JEST_)/.test(name));
    this.child = spawn(process.execPath, [MAIN], {
      env: { ...Object.fromEntries(inherited), BATON_PREFILL_PORT: '0', BATON_DECODE_PORT: '0', ...env },
    });
    this.child.stdout?.on('data', (data: Buffer) => (this.output += String(data)));
    this.child.stderr?.on('data', (data: Buffer) => (this.output += String(data)));
  }

  async serving(): Promise<void> {
    await eventually('the pair serves', () => this.output.includes('/docs') || this.child.exitCode !== null, 40_000);
    expect({ exitCode: this.child.exitCode, output: this.output }).toMatchObject({ exitCode: null });
  }

  /** Processes that it started. */
  get instances(): number[] {
    const pid = this.child.pid!;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  }

  async exit(): Promise<[number | null, NodeJS.Signals | null]> {
    if (this.child.exitCode !== null || this.child.signalCode !== null)
      return [this.child.exitCode, this.child.signalCode];
    return (await once(this.child, 'exit')) as [number | null, NodeJS.Signals | null];
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

describe('the local pair', () => {
  const commands: PairCommand[] = [];
  const start = (env?: Readonly<Record<string, string>>): PairCommand => {
    const command = new PairCommand(env);
    commands.push(command);
    return command;
  };
  afterEach(() => {
    for (const command of commands.splice(0)) command.child.kill('SIGKILL');
  });

  it('streams an example with a timeline, says what to try next, and Ctrl-C ends it with exit code 0', async () => {
    const pair = start();
    await pair.serving();
    expect(pair.output).toContain('fox');
    expect(pair.output).toMatch(/prefill\D+[\d.]+ ms/);
    expect(pair.output).toMatch(/handoff.*[\d.]+ KiB/);
    expect(pair.output).toMatch(/decode.*\d+ tokens.*tokens\/s/);
    expect(pair.output).toMatch(/curl -N http:\/\/127\.0\.0\.1:\d+\/v1\/chat\/completions/);
    const instances = pair.instances;
    expect(instances).toHaveLength(2);
    pair.child.kill('SIGINT');
    expect(await pair.exit()).toEqual([0, null]);
    expect(instances.filter(isAlive)).toEqual([]);
  });

  it('takes clients without a key and with any, and keeps to itself what is for instances', async () => {
    const pair = start();
    await pair.serving();
    const urls = [...pair.output.matchAll(/(?:prefill|decode) +(http:\/\/127\.0\.0\.1:\d+)/g)].map(([, url]) =>
      String(url),
    );
    expect(urls).toHaveLength(2);
    for (const url of urls) {
      const status = async (path: string, headers: Record<string, string> = {}): Promise<number> =>
        (await fetch(url + path, { headers })).status;
      expect(await status('/v1/models')).toBe(200);
      expect(await status('/v1/models', { authorization: 'Bearer unused' })).toBe(200);
      expect(await status('/v1/models', { authorization: 'Bearer unused', 'x-baton-hops': '1' })).toBe(401);
      expect(await status('/metrics')).toBe(401);
      expect(await status('/baton/v1/info', { authorization: 'Bearer unused' })).toBe(401);
    }
    for (const pid of pair.instances) expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toMatch(/[0-9a-f]{32}/);
    pair.child.kill('SIGINT');
    await pair.exit();
  });

  it('killed with -9 it leaves no orphan', async () => {
    const pair = start();
    await pair.serving();
    const instances = pair.instances;
    expect(instances.filter(isAlive)).toHaveLength(2);
    pair.child.kill('SIGKILL');
    expect(await pair.exit()).toEqual([null, 'SIGKILL']);
    await eventually('both instances have ended', () => instances.every((pid) => !isAlive(pid)), 5_000);
  });

  it('names an instance that dies, ends the other, and exits non-zero', async () => {
    const pair = start();
    await pair.serving();
    const [first, second] = pair.instances as [number, number];
    process.kill(first, 'SIGKILL');
    const [code] = await pair.exit();
    expect(code).toBe(1);
    expect(pair.output).toMatch(/(prefill|decode) instance.*SIGKILL/i);
    expect(isAlive(second)).toBe(false);
  });

  it('names a port that is in use, and the variable that changes it', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const port = (taken.address() as AddressInfo).port;
    const pair = start({ BATON_DECODE_PORT: String(port) });
    expect(await pair.exit()).toEqual([1, null]);
    expect(pair.output).toContain(String(port));
    expect(pair.output).toContain('BATON_DECODE_PORT');
    taken.close();
  });
});
