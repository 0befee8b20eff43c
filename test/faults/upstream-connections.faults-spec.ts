import { afterAll, beforeAll } from '@jest/globals';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { faultCases, type FaultCase, type Trial } from './support/fault-case.js';
import type { FaultProxy } from './support/fault-proxy.js';
import { assertQuiet, baselineOf, heldBy } from './support/quiet.js';
import { Client, recordsOf, rightAnswer } from './transport/client.js';
import { startRig, type Rig } from './transport/rig.js';

const promptOf = (index: number): string => `Tale ${index}: a fox and a silver key.`;
/** Between two chunks, and for the head of an answer, as the coordinator of R36 bounds them. */
const TIMEOUT_MS = 500;
const HOST = 'engine.test';
const HOSTS_FILE = join(tmpdir(), `hosts-${process.pid}.json`);

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    flags: { 'kv-lease-ms': 2_000 },
    settings: Object.fromEntries(
      ['PREFILL', 'DECODE'].flatMap((leg) => [
        [`BATON_COORDINATION_${leg}_HEAD_TIMEOUT_MS`, String(TIMEOUT_MS)],
        // The head of an answer that is not streamed comes with its last token, and has a bound of its own.
        [`BATON_COORDINATION_${leg}_ANSWER_TIMEOUT_MS`, String(TIMEOUT_MS)],
        [`BATON_COORDINATION_${leg}_IDLE_TIMEOUT_MS`, String(TIMEOUT_MS)],
      ]),
    ),
  });
});
afterAll(() => rig.stop());

const IDLE_MS = 20;

const keepAliveRace: FaultCase = {
  id: 'R22',
  title:
    'an upstream closes idle connections just as the next request comes: an answer or 502 remote_reset, nothing twice',
  runs: { scaled: 40, full: 2_000 },
  run: async (trial) => {
    const { instance, prefill, decode, toPrefill, toDecode, watched } = rig;
    const proxies = [toPrefill, toDecode];
    await Promise.all([prefill.forget(), decode.forget()]);
    const baseline = await baselineOf(watched);
    const client = new Client(instance.url);
    let errors = 0;
    const closes = (): number => proxies.reduce((sum, { counts }) => sum + counts.idleCloses + counts.resets, 0);
    // Half of the time as it comes, half of the time always too late: closed, and not yet known to be.
    for (const [half, plan] of [{ closeIdleMs: IDLE_MS }, { resetReused: true }].entries()) {
      for (const proxy of proxies) {
        proxy.plan = plan;
        // Connections of the plan before.
        proxy.resetAll();
      }
      await sleep(20);
      const before = closes();
      // A connection that was closed under a request is no reused one for the next.
      for (let index = 0; closes() - before < trial.runs / 2 && index < trial.runs * 2; index += 1) {
        const prompt = promptOf(half * trial.runs * 2 + index);
        const { status, code } = await client.complete(prompt, { tokens: 1, stream: false });
        // Sent again it would be a second leg of one id. Idle connections are kept for 4 s, shorter than servers keep theirs.
        if (code === 'remote_reset') errors += 1;
        else if (status !== 200)
          trial.failed(`request ${index} (${Object.keys(plan).join()}): ${status} ${String(code)}`);
        const end = performance.now() + IDLE_MS + trial.random.between(-3, 3);
        while (half === 0 && performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
      }
      trial.injected(Math.min(closes() - before, trial.runs / 2));
    }
    trial.worst('told as remote_reset', errors, '');
    toPrefill.plan = toDecode.plan = {};
    for (const proxy of proxies) proxy.resetAll();
    await client.close();
    for (const [side, simulator] of Object.entries({ P: prefill, D: decode })) {
      const seen = (await recordsOf(simulator)).map(({ body }) => JSON.stringify(body['prompt']));
      const double = seen.length - new Set(seen).size;
      trial.worst(`computed twice on ${side}`, double, '');
      if (double > 0) trial.failed(`${side} computed ${double} requests twice`);
    }
    await assertQuiet(trial, baseline);
  },
};

const EVIL = JSON.stringify({ id: 'evil', choices: [{ index: 0, text: 'EVIL', finish_reason: 'stop' }] });
const POISON = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${EVIL.length}\r\n\r\n${EVIL}`,
);

const poisonedConnections: FaultCase = {
  id: 'R23',
  title: 'a peer writes an answer to an idle connection that nobody asked for: the next request does not get it',
  runs: { scaled: 40, full: 1_000 },
  run: async (trial) => {
    const { instance, prefill, decode, toPrefill, toDecode, watched } = rig;
    const baseline = await baselineOf(watched);
    const client = new Client(instance.url);
    const right = await Promise.all(Array.from({ length: 10 }, (_, index) => rightAnswer(decode, promptOf(index))));
    await Promise.all([prefill.forget(), decode.forget()]);
    const ask = async (index: number): Promise<void> => {
      const heard = await client.complete(promptOf(index % 10), { stream: index % 2 === 0 });
      if (heard.said !== right[index % 10]) trial.failed(`request ${index}: ${heard.status} ${heard.events.join(' ')}`);
    };
    for (let index = 0; index < trial.runs; index += 1) {
      await ask(index);
      const proxy = index % 4 < 2 ? toPrefill : toDecode;
      const before = proxy.counts.injections;
      proxy.injectAll(POISON);
      // The proof: whoever got it has let go of the connection.
      const isGone = await eventually('the poisoned connection is closed', () => proxy.open === 0, 2_000).catch(
        () => -1,
      );
      if (isGone < 0) trial.failed(`a poisoned connection was kept (${proxy.open})`);
      if (proxy.counts.injections > before) trial.injected();
    }
    await ask(0);
    await client.close();
    await assertQuiet(trial, baseline);
  },
};

const linkDown: FaultCase = {
  id: 'R36',
  title: 'the link between coordinator and D goes down (a black hole in both directions), and heals',
  runs: { scaled: 1, full: 3 },
  boundMs: { scaled: 60_000, full: 300_000 },
  run: async (trial) => {
    const { instance, decode, toDecode, watched } = rig;
    const baseline = await baselineOf(watched);
    const client = new Client(instance.url);
    const right = await rightAnswer(decode, promptOf(1));
    const downMs = trial.isFull ? 30_000 : 1_500;
    for (let run = 0; run < trial.runs; run += 1) {
      await decode.misbehave([{ kind: 'hang', at: 'token', afterTokens: 2 }]);
      const under = Array.from({ length: 8 }, () => client.complete(promptOf(1)));
      await eventually(
        'streams are under way',
        async () =>
          (await recordsOf(decode)).filter(({ tokens, outcome }) => tokens >= 2 && outcome === 'open').length >= 8,
      );
      const upAgain = performance.now() + downMs;
      const before = toDecode.counts.stalls;
      toDecode.stallAll();
      toDecode.plan = { blackHole: true };
      await decode.misbehave([]);
      trial.injected(Math.min(1, toDecode.counts.stalls - before));
      for (const { errors, isDone, code } of await Promise.all(under)) {
        if (errors !== 1 || !isDone) trial.failed(`a stream ended with ${errors} errors (${String(code)}), ${isDone}`);
      }
      let told = 0;
      while (performance.now() < upAgain) {
        const start = performance.now();
        const { status, code } = await client.complete(promptOf(1), { stream: told++ % 2 === 0 });
        trial.worst('answer while down', performance.now() - start, 'ms');
        if (status < 500) trial.failed(`while down: ${status} ${String(code)}`);
        await sleep(50);
      }
      toDecode.plan = {};
      toDecode.resetAll();
      trial.worst('healed after', await healed(trial, client, promptOf(1), right), 'ms');
    }
    await client.close();
    // What was in the black hole is freed by the end of the lease at the latest.
    await assertQuiet(trial, baseline, { withinMs: 5_000, idleConnections: 10 });
  },
};

/** How long it takes until answers are right again. */
async function healed(
  trial: Trial,
  client: Client,
  prompt: string,
  right: string,
  what = 'answers are right',
): Promise<number> {
  let last = '';
  const isRight = async (): Promise<boolean> => {
    const { status, said, code } = await client.complete(prompt);
    last = `${status} ${String(code)} ${said}`;
    return said === right;
  };
  return eventually(what, isRight, 5_000).catch((error: unknown) => {
    trial.failed(`${String(error)}: ${last}`);
    return Infinity;
  });
}

/** How long a connection is used before its name is looked up again, and some time to notice. */
const OLD_FOR_MS = 13_000;

const changingNames: FaultCase = {
  id: 'R29',
  title: 'the address of an endpoint changes under load; then its name can not be looked up',
  runs: { scaled: 1, full: 4 },
  run: async (trial) => {
    const names = (host: string): Promise<void> => writeFile(HOSTS_FILE, JSON.stringify({ [HOST]: host }));
    await names('127.0.0.1');
    const own = await startRig({
      host: HOST,
      settings: { FAULTS_DNS: HOSTS_FILE },
      preloads: [new URL('./transport/patched-lookup.mjs', import.meta.url)],
    });
    const first = [own.toPrefill, own.toDecode];
    const second = await Promise.all(first.map((proxy) => proxy.alsoOn('127.0.0.2')));
    const client = new Client(own.instance.url);
    try {
      const prompt = promptOf(2);
      const right = await rightAnswer(own.decode, prompt);
      const ask = async (when: string): Promise<void> => {
        const { said, status, code } = await client.complete(prompt);
        if (said !== right) trial.failed(`${when}: ${status} ${String(code)}`);
      };
      for (let run = 0; run < trial.runs; run += 1) {
        const [from, to] = run % 2 === 0 ? [first, second] : [second, first];
        await ask('before the change');
        await names(to[0]?.host ?? '');
        // The scaled run has no time to wait until connections are too old.
        if (!trial.isFull) for (const proxy of from) proxy.resetAll();
        const seconds = await lastUse(from, to, () => ask('after the change'));
        trial.worst('old address used for', seconds, 's');
        if (seconds * 1_000 > OLD_FOR_MS) trial.failed(`the old address was used for ${seconds} s`);
        else trial.injected();
      }
      // A leg that finds no free connection needs another one, for which there will be no name.
      const areFree = async (): Promise<boolean> => {
        await ask('with a name');
        const areOpen = [0, 1].every((side) => [first, second].some((at) => (at[side]?.open ?? 0) > 0));
        return areOpen && (await heldBy(own.instance)) === '';
      };
      await eventually('a free connection to either side', areFree);
      await names('!ESERVFAIL');
      await healed(trial, client, prompt, right, 'without a name, by the connections that there are');
      for (const proxy of [...first, ...second]) proxy.resetAll();
      await sleep(100);
      const { status, code } = await client.complete(prompt);
      if (status !== 502 || code !== 'remote_connect')
        trial.failed(`without a name and a connection: ${status} ${String(code)}`);
      await names('127.0.0.1');
      trial.worst('healed after', await healed(trial, client, prompt, right), 'ms');
    } finally {
      await client.close();
      await Promise.all([own, ...second].map((each) => each.stop()));
      await rm(HOSTS_FILE, { force: true });
    }
  },
};

/** Goes on asking until only the new address is used; returns for how many seconds the old one was. */
async function lastUse(
  from: readonly FaultProxy[],
  to: readonly FaultProxy[],
  ask: () => Promise<void>,
): Promise<number> {
  const used = (proxies: readonly FaultProxy[]): number[] => proxies.map(({ counts }) => counts.bytesUp);
  const start = performance.now();
  const [before, deadline] = [used(to), start + OLD_FOR_MS + 2_000];
  let last = start;
  for (;;) {
    const old = used(from).join();
    await ask();
    const now = performance.now();
    if (used(from).join() !== old) last = now;
    const areBothNew = used(to).every((bytes, index) => bytes > (before[index] ?? 0));
    if ((areBothNew && now > last + 100) || now > deadline) return (last - start) / 1_000;
    await sleep(20);
  }
}

faultCases('The wire to upstreams', [keepAliveRace, poisonedConnections, linkDown, changingNames]);
