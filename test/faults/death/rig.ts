import type { RequestRecord } from '../../../apps/simulator/src/http/request-record.js';
import { eventually } from '../../support/eventually.js';
import { InstanceProcess } from '../../support/instance-process.js';
import type { SimulatorProcess } from '../../support/simulator-process.js';
import type { Member, Pool } from '../content/pool.js';
import { FLOWS } from '../../support/requests.js';
import { questionOf, type Question } from '../content/question.js';
import { ask } from '../content/verdict.js';

/**
 * How long P keeps what nobody takes. Much longer than a handoff takes to reach D on a busy machine: D reads whatever blocks it
 * was told of, also when they are another request's by then.
 */
export const LEASE_MS = 3_000;
export const TOKEN_MS = 20;
export const POOL_FLAGS = {
  prefill: { 'prefill-us-per-token': 500, 'kv-lease-ms': LEASE_MS },
  decode: { 'decode-us-per-token': TOKEN_MS * 1_000 },
} as const;

let serial = 0;

/** A streamed completion of so many tokens. */
export function story(maxTokens: number): Question {
  const prompt = `Story ${(serial += 1)}: of a fox, of a key, and of a door that it does not fit.`;
  return questionOf({ flow: FLOWS[0]!, stream: true, prompt, maxTokens });
}

export const ofRole = ({ members }: Pool, role: Member['role']): Member[] =>
  members.filter((member) => member.role === role);

/** The proof that a process was killed: nobody has its id any more. */
export function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** `kill -9`. @returns whether it is gone. */
export async function kill(process: SimulatorProcess | InstanceProcess): Promise<boolean> {
  const { pid } = process;
  await process.stop('SIGKILL');
  return isGone(pid);
}

export async function recordsOf(members: readonly Member[]): Promise<RequestRecord[]> {
  const all = await Promise.all(members.map(({ simulator }) => simulator.get('requests')));
  return all.flatMap((records) => records as unknown as RequestRecord[]);
}

/** Waits until `count` requests of these servers are `as` it is asked for, and fails when they are not soon. */
export async function untilRecords(
  members: readonly Member[],
  count: number,
  as: (record: RequestRecord) => boolean,
): Promise<RequestRecord[]> {
  let found: RequestRecord[] = [];
  const isThere = async (): Promise<boolean> => {
    found = (await recordsOf(members)).filter(as);
    return found.length >= count;
  };
  await eventually(`${count} requests are as they should be`, isThere, 10_000);
  return found;
}

/** The KV that these servers hold: for requests under way, and for decodes to come. */
export async function heldBy(members: readonly Member[]): Promise<{ state: string }[]> {
  const ledgers = await Promise.all(members.map(({ simulator }) => simulator.get('ledger')));
  return ledgers.flatMap(({ held }) => held as { state: string }[]);
}

/** Waits until these servers hold no KV and answer nobody. @returns how long it took, in ms. */
export async function untilEmpty(members: readonly Member[], withinMs: number): Promise<number> {
  return eventually(
    'nothing is held and nobody is answered',
    async () => {
      const states = await Promise.all(members.map(({ simulator }) => simulator.get('state')));
      const isIdle = states.every(({ running, waiting, openRequests }) => !running && !waiting && !openRequests);
      return isIdle && (await heldBy(members)).length === 0;
    },
    withinMs,
  );
}

export async function forget(members: readonly Member[]): Promise<void> {
  await Promise.all(members.map(({ simulator }) => simulator.forget()));
}

/** Starts anew what was killed, and waits until `url` answers rightly again, every time. */
export async function revive(members: readonly Member[], url: string): Promise<void> {
  await Promise.all(members.map((member) => member.restart()));
  let inARow = 0;
  const isWell = async (): Promise<boolean> => {
    const { verdict } = await ask(url, story(2));
    inARow = verdict === 'right' ? inARow + 1 : 0;
    // Each of them has been tried again: until then its breaker keeps the others' requests from it.
    const asked = await Promise.all(members.map(async (member) => (await recordsOf([member])).length > 0));
    return inARow >= 4 && !asked.includes(false);
  };
  await eventually('all is well again', isWell, 20_000);
  await forget(members);
}

/** One more coordinator before the servers of a pool. */
export function startCoordinatorOf(
  pool: Pool,
  settings: Readonly<Record<string, string>> = {},
): Promise<InstanceProcess> {
  const urls = (role: Member['role']): string =>
    ofRole(pool, role)
      .map(({ proxy }) => proxy.url)
      .join(',');
  return InstanceProcess.start({
    BATON_ENGINE_KIND: 'none',
    BATON_COORDINATION_CONNECTOR: 'nixl',
    BATON_COORDINATION_PREFILL_DIALECT: 'vllm',
    BATON_COORDINATION_PREFILL_ENDPOINTS: urls('prefill'),
    BATON_COORDINATION_DECODE_DIALECT: 'vllm',
    BATON_COORDINATION_DECODE_ENDPOINTS: urls('decode'),
    BATON_LOG_LEVEL: 'fatal',
    ...settings,
  });
}

/** An instance beside an engine server. */
export function startBeside(member: Member, settings: Readonly<Record<string, string>> = {}): Promise<InstanceProcess> {
  return InstanceProcess.start({
    BATON_ENGINE_KIND: 'http',
    BATON_ENGINE_URL: member.simulator.url,
    BATON_ENGINE_DIALECT: 'vllm',
    // Its legs name the side channels of P.
    BATON_KV_PEERS: '127.0.0.1:*',
    BATON_LOG_LEVEL: 'fatal',
    ...settings,
  });
}
