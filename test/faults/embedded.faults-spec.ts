import { afterAll, beforeAll } from '@jest/globals';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { InstanceProcess } from '../support/instance-process.js';
import { prefillLeg, type Params } from '../support/prefill-leg.js';
import { idle } from '../support/quiescence.js';
import { RawPost } from '../support/raw-client.js';
import { ask, FLOWS } from '../support/requests.js';
import { kill } from './death/rig.js';
import { faultCases, type FaultCase, type Trial } from './support/fault-case.js';
import type { FaultPlan } from './support/fault-plan.js';
import { FaultProxy } from './support/fault-proxy.js';

// Elsewhere: kill -9 of D and of P in the middle of a stream, handoffs that are lost, of another model, or have another
// digest, and leftovers of an idle instance (failure.e2e-spec.ts); a puller that leaves (side-channel.spec.ts).

const COMPLETIONS = FLOWS[0]!;
const TTL_MS = 1_200;
const PULL_TIMEOUT_MS = 600;
const ONE_THREAD = { BATON_ENGINE_THREADS: '1', BATON_ENGINE_INSTANCES_ON_MACHINE: '2' };

let directory: string;
let prefill: InstanceProcess;
let decode: InstanceProcess;
/** Before the side channel of P. */
let proxy: FaultProxy;

const start = (): Promise<InstanceProcess> =>
  InstanceProcess.start({
    ...ONE_THREAD,
    BATON_KV_PEERS: '127.0.0.1:*',
    BATON_KV_HANDOFF_TTL_MS: String(TTL_MS),
    BATON_KV_PULL_TIMEOUT_MS: String(PULL_TIMEOUT_MS),
    BATON_KV_DIRECTORY: directory,
    BATON_LOG_LEVEL: 'fatal',
  });
const startProxy = async (): Promise<void> => {
  proxy = await FaultProxy.start({ host: '127.0.0.1', port: prefill.kvPort ?? 0 });
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'embedded-faults-'));
  [prefill, decode] = await Promise.all([start(), start()]);
  await startProxy();
}, 30_000);
afterAll(async () => {
  await Promise.all([prefill.stop(), decode.stop(), proxy.stop()]);
  await rm(directory, { recursive: true });
});

/** Files with KV states of all instances, dead ones as well. */
const files = async (): Promise<string[]> =>
  (await readdir(directory, { recursive: true })).filter((name) => name.split('/').length > 2);

let serial = 0;
/** A prompt of some 200 tokens, of which the KV is much larger than what a socket holds. */
const bodyOf = (): Record<string, unknown> => {
  const prompt = `Visit ${(serial += 1)}. ${'A fox named Ivy found a silver key in the snow. '.repeat(16)}`;
  return { ...COMPLETIONS.body(prompt, [], 8), min_tokens: 8 };
};

/** What P hands over, to be pulled through the proxy. */
async function handOver(body: Record<string, unknown>): Promise<Params> {
  return { ...(await prefillLeg(prefill, body)), remote_port: proxy.port };
}

/** What the wire had taken may still come when P is dead: then D has waited long enough. */
const LOST_OR_LATE = ['lost', 'timeout'];

async function recomputed(reasons: readonly string[]): Promise<number> {
  const metric = await decode.metrics();
  const counts = reasons.map((reason) => metric('baton_engine_handoff_recomputed_total', { reason }));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** D reads the prompt itself for one of `reasons`, and says the same as if nothing had happened. */
async function expectRecomputed(
  trial: Trial,
  reasons: readonly string[],
  body: Record<string, unknown>,
  params: Params,
): Promise<void> {
  const why = reasons.join(' or ');
  const before = await recomputed(reasons);
  const begun = performance.now();
  const answer = await ask(decode.url, COMPLETIONS, { ...body, kv_transfer_params: params });
  trial.worst(`answered, ${why}`, performance.now() - begun, 'ms');
  if (answer.status !== 200) return trial.failed(`${why}: ${answer.status} ${JSON.stringify(answer.events[0])}`);
  const right = await ask(decode.url, COMPLETIONS, body, { headers: { 'x-baton-leg': '1' } });
  if (answer.said !== right.said) trial.failed(`${why}: "${answer.said}" instead of "${right.said}"`);
  const more = (await recomputed(reasons)) - before;
  if (more !== 1) trial.failed(`${why}: recomputed ${more} times`);
}

/** Nothing is held, and no file is there, when the time of handoffs is over. */
async function expectNothing(trial: Trial, instances: readonly InstanceProcess[] = [prefill, decode]): Promise<void> {
  const tookMs = await idle(instances, TTL_MS + PULL_TIMEOUT_MS + 500).catch((error: unknown) => {
    trial.failed(String(error));
    return 0;
  });
  trial.worst('nothing held after', tookMs, 'ms');
  const left = await files();
  if (left.length > 0) trial.failed(`files are left: ${left.join(' ')}`);
}

/** Until the first bytes of a KV state have passed the proxy, which holds the rest back. */
const untilHalfWay = (before: number): Promise<number> =>
  eventually('a transfer is under way', () => proxy.counts.bytesDown > before);

const decodeDies: FaultCase = {
  id: 'E1',
  title: 'kill -9 of D while it pulls: P frees the KV at its deadline, and D leaves no file when it is back',
  runs: { scaled: 1, full: 10 },
  boundMs: { scaled: 60_000, full: 240_000 },
  run: async (trial) => {
    for (let run = 0; run < trial.runs; run += 1) {
      const body = bodyOf();
      const params = await handOver(body);
      const bytes = proxy.counts.bytesDown;
      proxy.plan = { rateBytesPerSecond: 20_000 };
      const post = await RawPost.send(decode.url, '/v1/completions', { ...body, kv_transfer_params: params });
      await untilHalfWay(bytes);
      const { pid } = decode;
      if (!(await kill(decode))) trial.failed('D was not killed');
      trial.injected();
      await post.closed();
      proxy.plan = {};
      // What D had of it. P may have sent it all, to whoever holds it back.
      const left = await files();
      if (!left.some((name) => name.includes(`/${pid}-`))) trial.failed(`D has left nothing: ${left.join(' ')}`);
      decode = await start();
      await expectNothing(trial);
    }
  },
};

const prefillDies: FaultCase = {
  id: 'E2',
  title: 'kill -9 of P while D pulls: D reads the prompt itself, and P leaves no file when it is back',
  runs: { scaled: 1, full: 10 },
  boundMs: { scaled: 60_000, full: 240_000 },
  run: async (trial) => {
    for (let run = 0; run < trial.runs; run += 1) {
      const body = bodyOf();
      const params = await handOver(body);
      const bytes = proxy.counts.bytesDown;
      proxy.plan = { rateBytesPerSecond: 20_000 };
      const answered = expectRecomputed(trial, LOST_OR_LATE, body, params);
      await untilHalfWay(bytes);
      if (!(await kill(prefill))) trial.failed('P was not killed');
      trial.injected();
      await answered;
      await proxy.stop();
      prefill = await start();
      await startProxy();
      await expectNothing(trial);
    }
  },
};

/** What the wire does to a transfer, and why D then says that it could not use the handoff. */
const WIRES: readonly { plan: FaultPlan; reason: string; proof: () => number }[] = [
  { plan: { resetAfterDownBytes: 5_000 }, reason: 'lost', proof: () => proxy.counts.resets },
  { plan: { stallAfterDownBytes: 5_000 }, reason: 'timeout', proof: () => proxy.counts.stalls },
  { plan: { blackHole: true }, reason: 'timeout', proof: () => proxy.counts.blackHoled },
  { plan: { refuse: true }, reason: 'lost', proof: () => proxy.counts.refused },
];

const badWires: FaultCase = {
  id: 'E3',
  title: 'a side channel that resets, stalls, swallows or refuses: D reads the prompt itself within its bound',
  runs: { scaled: 4, full: 40 },
  run: async (trial) => {
    for (let run = 0; run < trial.runs; run += 1) {
      const { plan, reason, proof } = WIRES[run % WIRES.length]!;
      const body = bodyOf();
      const params = await handOver(body);
      const before = proof();
      proxy.resetAll();
      proxy.plan = plan;
      await expectRecomputed(trial, [reason], body, params);
      if (proof() > before) trial.injected();
      proxy.plan = {};
      proxy.resetAll();
    }
    await expectNothing(trial);
  },
};

const wrongSizes: FaultCase = {
  id: 'E4',
  title: 'a handoff of another size, or past its time: D reads the prompt itself',
  runs: { scaled: 3, full: 30 },
  run: async (trial) => {
    for (let run = 0; run < trial.runs; run += 1) {
      const body = bodyOf();
      const params = await handOver(body);
      const { kv_bytes: bytes, lease_ms: leaseMs } = params;
      if (leaseMs !== TTL_MS) trial.failed(`a handoff says that it lives ${String(leaseMs)} ms`);
      const isOld = run % 3 === 2;
      if (isOld) await eventually('P has let it go', async () => (await prefill.metric('baton_handoffs_open')) === 0);
      const other = isOld ? params : { ...params, kv_bytes: Number(bytes) + (run % 3 === 0 ? 1 : -1) };
      trial.injected();
      await expectRecomputed(trial, [isOld ? 'lost' : 'damaged'], body, other);
    }
    await expectNothing(trial);
  },
};

const fullStore: FaultCase = {
  id: 'E5',
  title: 'legs that fill the store of KV: 503 and when to come again, until the time of handoffs is over',
  runs: { scaled: 5, full: 100 },
  run: async (trial) => {
    const room = 400_000;
    const small = await InstanceProcess.start({
      ...ONE_THREAD,
      BATON_KV_HANDOFF_TTL_MS: String(TTL_MS),
      BATON_KV_MAX_KEPT_BYTES: String(room),
      BATON_KV_DIRECTORY: directory,
      BATON_LOG_LEVEL: 'fatal',
    });
    try {
      let refused = 0;
      for (let asked = 0; refused < trial.runs; asked += 1) {
        const leg = { ...bodyOf(), max_tokens: 1, min_tokens: 0, kv_transfer_params: { do_remote_decode: true } };
        const answer = await ask(small.url, COMPLETIONS, leg);
        if (answer.status === 200 && asked < 1_000) continue;
        const { error } = answer.events[0] as { error?: { code?: string } };
        if (answer.status !== 503 || error?.code !== 'kv_store_full') return trial.failed(JSON.stringify(answer));
        if (answer.headers.get('retry-after') === null) trial.failed('nobody was told when to come again');
        refused += 1;
        trial.injected();
      }
      await expectNothing(trial, [small]);
    } finally {
      await small.stop();
    }
  },
};

const GARBAGE: readonly Buffer[] = [
  Buffer.from('\u0016\u0003\u0001 this is TLS\r\n\r\n', 'latin1'),
  Buffer.alloc(70_000, 'x'),
  Buffer.from('GET /kv/v1/handoffs/%00 HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
  Buffer.from(`DELETE /kv/v1/handoffs/../../etc HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`),
];

const garbage: FaultCase = {
  id: 'E6',
  title: 'garbage on the side channel is refused, and the KV of others is there',
  runs: { scaled: 12, full: 1_000 },
  run: async (trial) => {
    const body = bodyOf();
    for (let run = 0; run < trial.runs; run += 1) {
      const socket = connect({ host: '127.0.0.1', port: prefill.kvPort ?? 0 }).on('error', () => undefined);
      let heard = '';
      socket.setEncoding('latin1').on('data', (text: string) => (heard += text));
      // A server that has not read everything closes with a reset, which is a refusal as well.
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(GARBAGE[run % GARBAGE.length]!);
      await closed;
      if (heard === '' || /^HTTP\/1\.1 4\d\d /.test(heard)) trial.injected();
      else trial.failed(`garbage was answered with ${heard.slice(0, 60)}`);
    }
    const taken = await decode.metric('baton_engine_prompt_tokens_total', { source: 'handoff' });
    const params = await handOver(body);
    await ask(decode.url, COMPLETIONS, { ...body, kv_transfer_params: params });
    const more = (await decode.metric('baton_engine_prompt_tokens_total', { source: 'handoff' })) - taken;
    if (more === 0) trial.failed('afterwards no handoff is taken');
    await expectNothing(trial);
  },
};

faultCases('The embedded engine', [decodeDies, prefillDies, badWires, wrongSizes, fullStore, garbage]);
