import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dialectOf } from '../../support/deployment.js';
import { eventually } from '../../support/eventually.js';
import { InstanceProcess } from '../../support/instance-process.js';
import { SimulatorProcess, type SimulatorFlags } from '../../support/simulator-process.js';
import { FaultProxy } from '../support/fault-proxy.js';

export type PooledConnector = 'nixl' | 'sglang' | 'mooncake' | 'trtllm';

/** A simulator that can be killed and comes back where it was, and the proxy that legs reach it through. */
export class Member {
  private constructor(
    readonly role: 'prefill' | 'decode',
    private readonly flags: SimulatorFlags,
    public simulator: SimulatorProcess,
    readonly proxy: FaultProxy,
  ) {}

  static async start(role: Member['role'], connector: PooledConnector, more: SimulatorFlags): Promise<Member> {
    const flags = { dialect: dialectOf(connector), kv: connector, role, ...more };
    const simulator = await SimulatorProcess.start(flags);
    return new Member(role, flags, simulator, await FaultProxy.before(simulator.url));
  }

  /** How a configuration names it. */
  get endpoint(): { readonly url: string; readonly kvAddress?: string } {
    const { kv } = this.flags;
    const hasBootstrap = this.role === 'prefill' && (kv === 'mooncake' || kv === 'sglang');
    const kvAddress = hasBootstrap ? { kvAddress: `127.0.0.1:${this.simulator.port('bootstrapPort')}` } : {};
    return { url: this.proxy.url, ...kvAddress };
  }

  /** Kills it, and starts it anew on its ports. */
  async restart(): Promise<void> {
    const { simulator, flags } = this;
    const port = simulator.port('port');
    const bootstrap = flags['kv'] === 'mooncake' || flags['kv'] === 'sglang';
    const ports = { port, ...(bootstrap && { 'bootstrap-port': simulator.port('bootstrapPort') }) };
    await simulator.stop('SIGKILL');
    this.simulator = await SimulatorProcess.start({ ...flags, ...ports });
  }

  async stop(): Promise<void> {
    await Promise.all([this.simulator.stop(), this.proxy.stop()]);
  }
}

/** A coordinator before two servers that prefill and two that decode, each behind a fault proxy. */
export interface Pool {
  readonly instance: InstanceProcess;
  readonly members: readonly Member[];
  stop(): Promise<void>;
}

/** What of a {@link Pool} may differ. */
export interface PoolOptions {
  readonly connector: PooledConnector;
  /** How many servers of each role. Default 2. */
  readonly each?: number;
  readonly flags?: { readonly prefill?: SimulatorFlags; readonly decode?: SimulatorFlags };
  readonly settings?: Readonly<Record<string, string>>;
}

/** A dead wire has to be noticed within a test. */
const TIMEOUTS = {
  BATON_COORDINATION_PREFILL_HEAD_TIMEOUT_MS: '1500',
  BATON_COORDINATION_DECODE_HEAD_TIMEOUT_MS: '1500',
  BATON_COORDINATION_DECODE_ANSWER_TIMEOUT_MS: '1500',
  BATON_COORDINATION_DECODE_FIRST_TOKEN_TIMEOUT_MS: '1500',
  BATON_COORDINATION_PREFILL_IDLE_TIMEOUT_MS: '1000',
  BATON_COORDINATION_DECODE_IDLE_TIMEOUT_MS: '1000',
  BATON_COORDINATION_RELEASE_TIMEOUT_MS: '2000',
  BATON_COORDINATION_TRANSFER_TIMEOUT_MS: '3000',
  BATON_LOG_LEVEL: 'fatal',
};

/** Starts a pool. */
export async function startPool({ connector, each = 2, flags = {}, settings = {} }: PoolOptions): Promise<Pool> {
  const roles = (['prefill', 'decode'] as const).flatMap((role) => Array.from({ length: each }, () => role));
  const members = await Promise.all(roles.map((role) => Member.start(role, connector, flags[role] ?? {})));
  const dialect = dialectOf(connector);
  const pool = (role: Member['role']) => ({
    dialect,
    endpoints: members.filter((member) => member.role === role).map(({ endpoint }) => endpoint),
  });
  const config = {
    engine: { kind: 'none' },
    coordination: { connector, prefill: pool('prefill'), decode: pool('decode') },
  };
  const file = join(tmpdir(), `pool-${randomUUID()}.yaml`);
  await writeFile(file, JSON.stringify(config));
  try {
    const instance = await InstanceProcess.start({ ...TIMEOUTS, ...settings }, file);
    const stop = async (): Promise<void> => {
      await Promise.all([instance.stop(), ...members.map((member) => member.stop())]);
    };
    return { instance, members, stop };
  } finally {
    await rm(file, { force: true });
  }
}

/** Takes all faults away: what is still running comes to its end. */
export async function behave({ members }: Pool): Promise<void> {
  for (const { proxy } of members) {
    proxy.plan = {};
    proxy.resumeAll();
  }
  await Promise.all(members.map(({ simulator }) => simulator.misbehave([])));
}

/** Waits until nobody runs anything, and the coordinator owes nothing. What lies under a lease may stay. */
export async function settled({ instance, members }: Pool, withinMs: number): Promise<void> {
  let held: unknown;
  const isSettled = async (): Promise<boolean> => {
    const metric = await instance.metrics();
    const own = ['baton_inflight_requests', 'baton_handoffs_open'].map((name) => metric(name));
    const states = await Promise.all(members.map(({ simulator }) => simulator.get('state')));
    const theirs = states.flatMap(({ running, waiting, openRequests }) => [running, waiting, openRequests]);
    held = { own, theirs };
    return [...own, ...theirs].every((count) => count === 0);
  };
  await eventually('the pool has settled', isSettled, withinMs).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(held)}`);
  });
}
