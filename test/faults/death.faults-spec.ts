import { afterAll, beforeAll } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestRecord } from '../../apps/simulator/src/http/request-record.js';
import { Member, settled, startPool, type Pool } from './content/pool.js';
import type { Question } from './content/question.js';
import { ask, type Judged } from './content/verdict.js';
import {
  forget,
  heldBy,
  kill,
  LEASE_MS,
  ofRole,
  POOL_FLAGS,
  recordsOf,
  revive,
  startBeside,
  startCoordinatorOf,
  story,
  untilEmpty,
  untilRecords,
} from './death/rig.js';
import { rollingRestart } from './death/rolling.js';
import { faultCases, type FaultCase, type Trial } from './support/fault-case.js';
import { eventually } from '../support/eventually.js';

/** Between P's answer and D's: what a coordinator may use of the lease of 30 s that engines have. */
const GAP_BUDGET_MS = 10_000;
/** Legs reach D so late that it can be killed before. */
const GAP_MS = 400;

let pool: Pool;
let prefills: Member[];
let decodes: Member[];
beforeAll(async () => {
  pool = await startPool({ connector: 'nixl', flags: POOL_FLAGS });
  [prefills, decodes] = [ofRole(pool, 'prefill'), ofRole(pool, 'decode')];
}, 30_000);
afterAll(() => pool.stop());

/** In rounds: many requests, one death. `one` is given how many requests, and which round. */
async function inRounds(trial: Trial, width: number, one: (count: number, round: number) => Promise<void>) {
  for (let done = 0, round = 0; done < trial.runs; done += width, round += 1) {
    await forget(pool.members);
    await one(Math.min(width, trial.runs - done), round);
    await settled(pool, 3_000).catch((error: unknown) => trial.failed(String(error)));
  }
}

const stories = (count: number, tokens: number): Question[] => Array.from({ length: count }, () => story(tokens));

const begin = (url: string, count: number, tokens: number): Promise<Judged>[] =>
  stories(count, tokens).map((question) => ask(url, question));

const beforeThePull: FaultCase = {
  id: 'R9',
  title: 'kill -9 of D between the prefill and the pull: another D, or an error; the lease of P ends',
  runs: { scaled: 16, full: 200 },
  boundMs: { scaled: 30_000, full: 240_000 },
  run: (trial) =>
    inRounds(trial, 20, async (count, round) => {
      for (const { proxy } of decodes) {
        proxy.plan = { delayMs: GAP_MS };
        proxy.resetAll();
      }
      const before = decodes.map(({ proxy }) => proxy.counts.connections);
      const questions = stories(count, 3);
      const answers = questions.map((question) => ask(pool.instance.url, question));
      const isInGap = async (): Promise<boolean> =>
        (await heldBy(prefills)).filter(({ state }) => state === 'handoff').length === count;
      await eventually('all have been prefilled', isInGap, 5_000);
      const areSent = (): Promise<boolean> => Promise.resolve(sentTo(decodes, before) >= count);
      await eventually('all legs are under way', areSent, 5_000);
      const arrived = (await recordsOf(decodes)).length;
      // One of two at first: the other answers. Then both.
      const victims = round % 2 === 0 ? decodes.slice(0, 1) : decodes;
      const lost = sentTo(victims, before);
      const killed = performance.now();
      for (const { simulator } of victims) if (!(await kill(simulator))) trial.failed('D was not killed');
      if (arrived > 0) trial.failed(`${arrived} legs had come to D`);
      else trial.injected(count);
      for (const { proxy } of decodes) proxy.plan = {};
      const verdicts = await Promise.all(answers);
      const tookMs = performance.now() - killed;
      trial.worst('answered after', tookMs, 'ms');
      if (tookMs > GAP_BUDGET_MS + 1_000) trial.failed(`answered ${tookMs} ms after the death`);
      const survivors = decodes.filter((decode) => !victims.includes(decode));
      const answered = await promptsAt(survivors);
      for (const [index, { verdict, why }] of verdicts.entries()) {
        // A leg that was sent to who lives has nothing to do with the death.
        const expected = answered.has(questions[index]?.body['prompt']) ? 'right' : 'error';
        if (verdict !== expected) trial.failed(`${victims.length} of 2 died: ${verdict}, not ${expected} ${why}`);
      }
      const errors = verdicts.filter(({ verdict }) => verdict === 'error').length;
      trial.worst(`errors of ${count} when ${victims.length} of 2 died`, errors, '');
      // Each has a connection of its own, which is the killed one's.
      if (errors > lost) trial.failed(`${errors} errors, but ${lost} legs were on their way to who died`);
      await untilEmpty(prefills, LEASE_MS + 1_000).catch((error: unknown) => trial.failed(String(error)));
      trial.worst('KV of P freed after', performance.now() - killed, 'ms');
      await revive(victims, pool.instance.url);
    }),
};

/** Legs that have gone to these since; each on a connection of its own, since those before were reset. */
function sentTo(members: readonly Member[], before: readonly number[]): number {
  const sent = members.map((member) => member.proxy.counts.connections - (before[decodes.indexOf(member)] ?? 0));
  return sent.reduce((sum, count) => sum + count, 0);
}

/** What these were asked by clients, and not by what only frees KV. */
async function promptsAt(members: readonly Member[]): Promise<ReadonlySet<unknown>> {
  const asked = (await recordsOf(members)).filter(({ body }) => body['max_tokens'] !== 1);
  return new Set(asked.map(({ body }) => body['prompt']));
}

const midStream: FaultCase = {
  id: 'R10',
  title: 'kill -9 of D in the middle of streams: each ends with one error event and the end mark',
  runs: { scaled: 20, full: 500 },
  boundMs: { scaled: 30_000, full: 240_000 },
  run: (trial) =>
    inRounds(trial, 50, async (count) => {
      const answers = begin(pool.instance.url, count, 400);
      await untilRecords(decodes, count, ({ tokens, outcome }) => outcome === 'open' && tokens >= 20);
      for (const { simulator } of decodes) if (!(await kill(simulator))) trial.failed('D was not killed');
      trial.injected(count);
      const killed = performance.now();
      for (const { verdict, why } of await Promise.all(answers)) {
        if (verdict !== 'error_event') trial.failed(`${verdict} ${why}`);
      }
      trial.worst('ended after', performance.now() - killed, 'ms');
      await untilEmpty(prefills, LEASE_MS + 1_000).catch((error: unknown) => trial.failed(String(error)));
      await revive(decodes, pool.instance.url);
    }),
};

const whilePrefilling: FaultCase = {
  id: 'R11',
  title: 'kill -9 of P while it prefills: another P with other ids, or an error; one output',
  runs: { scaled: 10, full: 150 },
  boundMs: { scaled: 30_000, full: 240_000 },
  run: (trial) =>
    inRounds(trial, 20, async (count) => {
      const [victim, other] = prefills as [Member, Member];
      await Promise.all(prefills.map(({ simulator }) => simulator.misbehave([{ kind: 'slow', at: 'done', ms: 400 }])));
      // About half of them come to the one that is killed.
      const answers = begin(pool.instance.url, count * 2, 3);
      const isOpen = ({ outcome }: RequestRecord): boolean => outcome === 'open';
      await untilRecords(prefills, count * 2, isOpen);
      const open = (await recordsOf([victim])).filter(isOpen);
      if (!(await kill(victim.simulator))) trial.failed('P was not killed');
      trial.injected(open.length);
      const verdicts = await Promise.all(answers);
      for (const { verdict, why } of verdicts) {
        if (verdict !== 'right' && verdict !== 'error') trial.failed(`${verdict} ${why}`);
      }
      const right = verdicts.filter(({ verdict }) => verdict === 'right').length;
      trial.worst('right', right, `of ${count * 2}`);
      const [again, decoded] = [await recordsOf([other]), await recordsOf(decodes)];
      if (decoded.length !== right) trial.failed(`${right} outputs of ${decoded.length} decode legs`);
      const ids = [...open, ...again, ...decoded].map(({ headers }) => String(headers['x-request-id']));
      if (new Set(ids).size !== ids.length) trial.failed('an id was used twice');
      await other.simulator.misbehave([]);
      await untilEmpty([other, ...decodes], LEASE_MS + 1_000).catch((error: unknown) => trial.failed(String(error)));
      await revive([victim], pool.instance.url);
    }),
};

const coordinatorDies: FaultCase = {
  id: 'R12',
  title: 'kill -9 of the coordinator: its legs are aborted, and the ledgers are empty when the lease is over',
  runs: { scaled: 24, full: 200 },
  run: (trial) =>
    inRounds(trial, 200, async (count) => {
      const coordinator = await startCoordinatorOf(pool);
      const decoding = Math.ceil(count * 0.75);
      const answers = begin(coordinator.url, decoding, 400);
      await untilRecords(decodes, decoding, ({ tokens, outcome }) => outcome === 'open' && tokens > 0);
      // And some of which the KV lies at P, or is being computed.
      for (const { proxy } of decodes) {
        proxy.plan = { delayMs: GAP_MS };
      }
      answers.push(...begin(coordinator.url, count - decoding, 3));
      await sleep(trial.random.between(20, 80));
      if (!(await kill(coordinator))) trial.failed('the coordinator was not killed');
      const killed = performance.now();
      const isAborted = async (): Promise<boolean> =>
        (await recordsOf(pool.members)).every(({ outcome }) => outcome !== 'open');
      await eventually('all legs have ended', isAborted, LEASE_MS).catch((error: unknown) =>
        trial.failed(String(error)),
      );
      trial.worst('legs aborted after', performance.now() - killed, 'ms');
      const aborted = (await recordsOf(decodes)).filter(({ outcome }) => outcome === 'aborted').length;
      if (aborted < decoding) trial.failed(`${aborted} of ${decoding} streams were aborted at D`);
      await untilEmpty(pool.members, LEASE_MS + 1_000).catch((error: unknown) => trial.failed(String(error)));
      trial.worst('ledgers empty after', performance.now() - killed, 'ms');
      for (const { verdict } of await Promise.all(answers)) {
        if (verdict !== 'silent') trial.failed(`a client of a dead coordinator was told ${verdict}`);
        else trial.injected();
      }
      for (const { proxy } of decodes) proxy.plan = {};
    }),
};

const engineRestarts: FaultCase = {
  id: 'R13',
  title: 'an engine server that dies and restarts behind its instance',
  runs: { scaled: 8, full: 100 },
  run: async (trial) => {
    const member = await Member.start('decode', 'nixl', POOL_FLAGS.decode);
    const sidecar = await startBeside(member);
    const isReady = async (): Promise<boolean> => (await fetch(`${sidecar.url}/health/ready`)).ok;
    // And not because of the failures alone: an engine needs longer to come back than its health is remembered.
    const isMissed = async (): Promise<boolean> => {
      const text = await (await fetch(`${sidecar.url}/health/ready`)).text();
      return text.includes('not_ready') && !text.includes('Within the last minute');
    };
    try {
      for (let done = 0; done < trial.runs; done += 20) {
        const count = Math.min(20, trial.runs - done);
        await eventually('it is ready', isReady);
        const answers = begin(sidecar.url, count, 400);
        await untilRecords([member], count, ({ tokens, outcome }) => outcome === 'open' && tokens > 3);
        if (!(await kill(member.simulator))) trial.failed('the engine was not killed');
        trial.injected(count);
        const notReadyMs = await eventually('it is not ready', isMissed, 2_000);
        trial.worst('not ready after', notReadyMs, 'ms');
        for (const { verdict, why } of await Promise.all(answers)) {
          if (verdict !== 'error_event') trial.failed(`in flight: ${verdict} ${why}`);
        }
        const { verdict, why } = await ask(sidecar.url, story(2));
        if (verdict !== 'error') trial.failed(`without an engine: ${verdict} ${why}`);
        await member.restart();
        trial.worst('ready again after', await eventually('it is ready again', isReady, 5_000), 'ms');
        const after = await ask(sidecar.url, story(2));
        if (after.verdict !== 'right') trial.failed(`afterwards: ${after.verdict} ${after.why}`);
      }
      const held = await sidecar.metric('baton_inflight_requests');
      if (held !== 0) trial.failed(`${held} requests are in flight`);
    } finally {
      await Promise.all([sidecar.stop(), member.stop()]);
    }
  },
};

faultCases('Processes that die', [
  beforeThePull,
  midStream,
  whilePrefilling,
  coordinatorDies,
  engineRestarts,
  {
    id: 'R31',
    title: 'a rolling restart of coordinators and of decode instances under load',
    // Restarts.
    runs: { scaled: 2, full: 24 },
    boundMs: { scaled: 90_000, full: 300_000 },
    run: rollingRestart,
  },
]);
