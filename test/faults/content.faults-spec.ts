import type { RequestRecord } from '../../apps/simulator/src/http/request-record.js';
import { InstanceProcess } from '../support/instance-process.js';
import { startPrefill } from '../support/pair.js';
import { idle } from '../support/quiescence.js';
import { FLOWS } from '../support/requests.js';
import { faultCases, type FaultCase } from './support/fault-case.js';
import { FaultProxy } from './support/fault-proxy.js';
import { behave, settled, startPool, type PooledConnector } from './content/pool.js';
import { anyQuestion, questionOf } from './content/question.js';
import { askedOf } from './content/reference.js';
import { misbehave, troubleSeen, wirePlan } from './content/trouble.js';
import { ask, IS_FINE, type Verdict } from './content/verdict.js';
import { inParallel } from './leaving/visit.js';

const AT_ONCE = 16;
/** One of the servers is killed, and comes back, once in so many requests. */
const KILLED_EVERY = 250;

const contentUnderFaults = (connector: PooledConnector, runs: FaultCase['runs']): FaultCase => ({
  id: `C1 ${connector}`,
  title: 'an answer is complete and right, or ends with one error',
  runs,
  boundMs: { scaled: 60_000, full: 600_000 },
  run: async (trial) => {
    const { random } = trial;
    const pool = await startPool({ connector });
    const client = await FaultProxy.before(pool.instance.url, random);
    try {
      client.plan = { chop: [1, 64] };
      for (const member of pool.members) {
        await misbehave(member, random, 0.01);
        member.proxy.plan = () => wirePlan(random);
      }
      const verdicts: Partial<Record<Verdict, number>> = {};
      let faults = 0;
      await inParallel(trial.runs, AT_ONCE, async (index) => {
        const question = anyQuestion(random);
        const { verdict, why } = await ask(client.url, question);
        verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
        if (!IS_FINE.has(verdict)) {
          trial.failed(`${verdict}: ${question.flow.api}, ${question.stream ? 'streamed' : 'whole'}: ${why}`);
        }
        if (index % KILLED_EVERY !== KILLED_EVERY - 1) return;
        const member = random.pick(pool.members);
        faults += (await troubleSeen({ ...pool, members: [member] })) + 1;
        await member.restart();
        await misbehave(member, random, 0.01);
      });
      faults += await troubleSeen(pool);
      await behave(pool);
      await settled(pool, 8_000).catch((error: unknown) => trial.failed(String(error)));
      // Each answer came in pieces; what else happened is told apart.
      trial.injected(client.counts.chops > trial.runs ? trial.runs : 0);
      trial.worst('other faults', faults, '');
      for (const [verdict, count] of Object.entries(verdicts)) trial.worst(verdict, count, 'answers');
    } finally {
      await client.stop();
      await pool.stop();
    }
  },
});

/** The embedded engine: its answers are known from one instance alone. One at a time, since batches may round apart. */
const embeddedContent: FaultCase = {
  id: 'C1 embedded',
  title: 'an answer is complete and right, or ends with one error',
  runs: { scaled: 18, full: 200 },
  boundMs: { scaled: 60_000, full: 600_000 },
  run: async (trial) => {
    const { random } = trial;
    const oneThread = { BATON_ENGINE_THREADS: '1', BATON_ENGINE_INSTANCES_ON_MACHINE: '2' };
    const decode = await InstanceProcess.start({ ...oneThread, BATON_KV_PEERS: '127.0.0.1:*' });
    const questions = await askedOf(decode);
    const wire = await FaultProxy.before(decode.url, random);
    const prefill = await startPrefill(wire.url, { BATON_COORDINATION_DECODE_IDLE_TIMEOUT_MS: '500', ...HEADS });
    const client = await FaultProxy.before(prefill.url, random);
    try {
      client.plan = { chop: [1, 64] };
      wire.plan = () => wirePlan(random);
      const verdicts: Partial<Record<Verdict, number>> = {};
      for (let run = 0; run < trial.runs; run += 1) {
        const question = random.pick(questions);
        const { verdict, why } = await ask(client.url, question);
        verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
        if (!IS_FINE.has(verdict)) trial.failed(`${verdict}: ${question.flow.api}: ${why}`);
        // The next one comes over a connection of its own, and that has a fault of its own.
        if (random.next() < 0.5) wire.resetAll();
      }
      wire.plan = {};
      wire.resumeAll();
      await idle([prefill, decode], 5_000).catch((error: unknown) => trial.failed(String(error)));
      trial.injected(client.counts.chops > trial.runs ? trial.runs : 0);
      trial.worst('other faults', wire.counts.resets + wire.counts.stalls, '');
      for (const [verdict, count] of Object.entries(verdicts)) trial.worst(verdict, count, 'answers');
    } finally {
      await Promise.all([client.stop(), wire.stop(), prefill.stop(), decode.stop()]);
    }
  },
};

const HEADS = {
  BATON_COORDINATION_DECODE_HEAD_TIMEOUT_MS: '1500',
  BATON_COORDINATION_DECODE_ANSWER_TIMEOUT_MS: '1500',
};

/** D's queue is longer than a lease. D's heartbeats keep the KV; a D that sends none in time reads what is another's by then. */
const leaseInQueue: FaultCase = {
  id: 'R17',
  title: "no answer is made of other KV when D's queue is longer than the lease",
  runs: { scaled: 10, full: 1_200 },
  boundMs: { scaled: 60_000, full: 600_000 },
  run: async (trial) => {
    const { random, isFull } = trial;
    const leaseMs = 1_000;
    const [places, atOnce, requests] = isFull ? [4, 100, trial.runs * 2] : [2, 40, trial.runs * 6];
    const flags = { 'kv-lease-ms': leaseMs };
    const pool = await startPool({
      ...{ connector: 'nixl', each: 1 },
      flags: {
        prefill: flags,
        decode: { ...flags, 'max-running': places, 'decode-us-per-token': 4_000, 'heartbeat-ms': 250 },
      },
      settings: PATIENT,
    });
    try {
      let [mismatches, errors] = [0, 0];
      await inParallel(requests, atOnce, async () => {
        const { verdict, why } = await ask(pool.instance.url, anyQuestion(random));
        if (verdict === 'error' || verdict === 'error_event') errors += 1;
        if (verdict === 'wrong') mismatches += 1;
        else if (!IS_FINE.has(verdict)) trial.failed(`${verdict}: ${why}`);
      });
      const [prefill, decode] = pool.members;
      const records = ((await decode?.simulator.get('requests')) ?? []) as unknown as readonly RequestRecord[];
      const waits = records.map(({ enteredAtMs: { queued = 0, loading = 0 } }) => loading - queued);
      trial.injected(waits.filter((wait) => wait > leaseMs).length);
      const freed = (await prefill?.simulator.get('ledger'))?.['freed'] as Readonly<Record<string, number>> | undefined;
      const expired = freed?.['lease_expired'] ?? 0;
      trial.worst('longest wait', Math.max(...waits), 'ms');
      trial.worst('mismatches', mismatches, '');
      trial.worst('leases that ended', expired, '');
      trial.worst('errors', errors, '');
      // Scaled, others use the machine at the same time, so that heartbeats may be late.
      if (mismatches > (isFull ? 0 : expired)) trial.failed(`${mismatches} answers were made of other KV`);
      await settled(pool, 5_000).catch((error: unknown) => trial.failed(String(error)));
    } finally {
      await pool.stop();
    }
  },
};

/** Nobody is to be cut off for waiting. */
const PATIENT = {
  BATON_COORDINATION_DECODE_HEAD_TIMEOUT_MS: '30000',
  BATON_COORDINATION_DECODE_ANSWER_TIMEOUT_MS: '30000',
  BATON_COORDINATION_DECODE_IDLE_TIMEOUT_MS: '30000',
};

const MODEL_TOKENS = 64;

/** Prompts at the edges, by their tokens: `fits` or not, with one token of an answer. */
const EDGES = [
  { tokens: 0, fits: false },
  { tokens: 1, fits: true },
  { tokens: 15, fits: true },
  { tokens: 16, fits: true },
  { tokens: 17, fits: true },
  { tokens: MODEL_TOKENS - 1, fits: true },
  { tokens: MODEL_TOKENS, fits: false },
  { tokens: MODEL_TOKENS + 1, fits: false },
] as const;

const promptsAtEdges: FaultCase = {
  id: 'R26',
  title: 'prompts shorter than a block, empty, and too long are answered, or refused before anything is kept',
  runs: { scaled: 32, full: 320 },
  run: async (trial) => {
    const flags = { 'max-model-len': MODEL_TOKENS };
    const pool = await startPool({ connector: 'nixl', each: 1, flags: { prefill: flags, decode: flags } });
    try {
      // The template of a conversation has tokens of its own.
      const flows = FLOWS.filter(({ api }) => api !== 'chat');
      let refused = 0;
      for (let run = 0; run < trial.runs; run += 1) {
        const edge = EDGES[run % EDGES.length] ?? EDGES[0];
        const flow = flows[(run >> 3) % flows.length] ?? FLOWS[0]!;
        const stream = (run >> 4) % 2 === 1;
        await Promise.all(pool.members.map(({ simulator }) => simulator.forget()));
        const question = questionOf({ flow, stream, prompt: 'x'.repeat(edge.tokens), maxTokens: 1 });
        const { verdict, why } = await ask(pool.instance.url, question);
        trial.injected();
        const expected = edge.fits ? 'right' : 'error';
        const how = `${flow.api}, ${edge.tokens} tokens`;
        if (verdict !== expected) trial.failed(`${how}: ${verdict} (${why})`);
        if (verdict !== 'error') continue;
        refused += 1;
        if (!/^4\d\d /.test(why)) trial.failed(`${how}: refused with ${why}`);
        for (const { role, simulator } of pool.members) {
          const records = (await simulator.get('requests')) as unknown as readonly RequestRecord[];
          const computed = records.filter(({ legIds }) => legIds.length > 0);
          if (computed.length > 0) trial.failed(`${how}: refused, and ${role} had computed it`);
        }
      }
      trial.worst('refused', refused, '');
      await settled(pool, 3_000).catch((error: unknown) => trial.failed(String(error)));
    } finally {
      await pool.stop();
    }
  },
};

const severalChoices: FaultCase = {
  id: 'R27',
  title: 'all of n choices come, each complete and right, or a refusal',
  runs: { scaled: 32, full: 320 },
  run: async (trial) => {
    const connectors: readonly PooledConnector[] = trial.isFull ? ['nixl', 'mooncake', 'sglang', 'trtllm'] : ['nixl'];
    for (const connector of connectors) {
      const pool = await startPool({ connector, each: 1 });
      try {
        const flows = FLOWS.filter(({ api }) => api !== 'generate');
        for (let run = 0; run < trial.runs / connectors.length; run += 1) {
          const flow = flows[(run >> 3) % flows.length] ?? FLOWS[0]!;
          const stream = (run >> 4) % 2 === 1;
          const n = (run % 8) + 1;
          const prompt = `Say ${n} things about the number ${run}.`;
          const { verdict, why } = await ask(pool.instance.url, questionOf({ flow, stream, prompt, maxTokens: 6, n }));
          trial.injected();
          // Several choices are not split, and an SGLang server that decodes for others refuses what was not prefilled.
          const expected = connector === 'sglang' && n > 1 ? 'error' : 'right';
          if (verdict !== expected) trial.failed(`${connector}, ${flow.api}, n ${n}: ${verdict} (${why})`);
        }
        await settled(pool, 3_000).catch((error: unknown) => trial.failed(String(error)));
        for (const { role, simulator } of pool.members) {
          const { blocksTotal, blocksFree } = await simulator.get('state');
          if (blocksTotal !== blocksFree) trial.failed(`${connector}: ${role} still holds KV`);
        }
      } finally {
        await pool.stop();
      }
    }
  },
};

faultCases('Content under faults', [
  contentUnderFaults('nixl', { scaled: 40, full: 1_500 }),
  contentUnderFaults('sglang', { scaled: 20, full: 1_100 }),
  contentUnderFaults('mooncake', { scaled: 20, full: 1_100 }),
  contentUnderFaults('trtllm', { scaled: 20, full: 1_100 }),
  ...[embeddedContent, leaseInQueue, promptsAtEdges, severalChoices],
]);
