import { afterAll, beforeAll } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InstanceProcess } from '../support/instance-process.js';
import { Canary } from './ssrf/canaries.js';
import { exchange, post } from './ssrf/exchange.js';
import { forged, forgedHeaders, plain, type Forged } from './ssrf/forged.js';
import { handingOver, HostilePeer } from './ssrf/hostile-peer.js';
import { AS_PEER, SsrfRig, type Target } from './ssrf/rig.js';
import { handoffs } from './ssrf/vectors.js';
import { faultCases, type Trial } from './support/fault-case.js';

const AT_ONCE = 12;
/** What the engines remember is read after so many. */
const BATCH = 240;
const ALLOWED = '127.0.0.9';
const BOUNDS = { scaled: 60_000, full: 600_000 };

let rig: SsrfRig;
beforeAll(async () => {
  rig = await SsrfRig.start();
}, 30_000);
afterAll(() => rig.stop());

/** Sends `runs` requests, some at once, and looks whether any of them has reached a canary, or an engine with what was forged. */
async function sendAll(trial: Trial, runs: number, send: (index: number) => Promise<void>): Promise<void> {
  const before = rig.canaries.connections;
  let told = 0;
  for (let done = 0; done < runs; done += BATCH) {
    let next = done;
    const last = Math.min(runs, done + BATCH);
    // The first canary that is reached says it all: an engine that dials one may wait for it until its client gives up.
    const isSafe = (): boolean => rig.canaries.connections === before;
    const worker = async (): Promise<void> => {
      while (next < last && isSafe()) await send(next++).catch((error: unknown) => trial.failed(String(error)));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    const { requests, leaks } = await rig.toldEngines();
    told += requests;
    for (const leak of leaks) trial.failed(`an engine was told ${leak}`);
  }
  const hits = rig.canaries.connections - before;
  if (hits > 0) trial.failed(`${hits} connections to canaries`);
  trial.worst('connections to canaries', hits, '');
  trial.worst('requests that engines were sent', told, '');
}

/** What a client may be answered: its answer, or that it asked wrong. */
const isFine = (status: number): boolean => status === 200 || (status >= 400 && status < 500);

async function tell(trial: Trial, target: Target, { path, body }: Forged, lines: readonly string[]): Promise<number> {
  const { statuses, text } = await exchange(target.instance.url, post(path, body, lines));
  const status = statuses[0] ?? 0;
  if (statuses.length === 1 && isFine(status)) trial.injected();
  else
    trial.failed(
      `${target.name} answered ${statuses.join()} to ${path} ${JSON.stringify(body)} ${lines.join()}: ${text.slice(0, 500)}`,
    );
  return status;
}

/** Most to the one beside an engine: there a request is one call. */
function targetOf(trial: Trial): Target {
  const { coordinator, sidecar, embedded } = rig.targets;
  return trial.random.pick([coordinator, coordinator, sidecar, sidecar, sidecar, embedded]);
}

faultCases('SSRF', [
  {
    id: 'X1 control',
    title: 'a trusted peer reaches the address that it may name: the canaries work, and so does the way to them',
    runs: { scaled: 2, full: 2 },
    boundMs: BOUNDS,
    async run(trial) {
      const { sidecar, embedded } = rig.targets;
      for (const [target, kind] of [
        [sidecar, 0],
        [embedded, 8],
      ] as const) {
        const before = rig.allowed.connections;
        const body = { prompt: 'Once', max_tokens: 1, ...handoffs(ALLOWED, rig.allowed.port)[kind] };
        const { statuses } = await exchange(target.instance.url, post('/v1/completions', body, AS_PEER));
        if (rig.allowed.connections > before) trial.injected();
        else trial.failed(`${target.name} answered ${statuses.join()} and dialled nobody`);
        const client = await exchange(target.instance.url, post('/v1/completions', body));
        if (client.statuses[0] !== 200) trial.failed(`${target.name} answered a client ${client.statuses.join()}`);
      }
      const { requests } = await rig.toldEngines();
      if (requests === 0) trial.failed('what engines are sent is not seen');
    },
  },
  {
    id: 'X1',
    title: 'handoffs of a client that name a canary',
    runs: { scaled: 150, full: 5_000 },
    boundMs: BOUNDS,
    async run(trial) {
      const { random } = trial;
      await sendAll(trial, trial.runs, async () => {
        const marks = random.pick([[], [], ['x-baton-leg: 1'], ['x-baton-leg: 1', 'x-data-parallel-rank: 1']]);
        await tell(trial, targetOf(trial), forged(random, rig.canaries, ALLOWED), marks);
      });
    },
  },
  {
    id: 'X2',
    title: 'routing headers of a client that name a canary, over raw sockets',
    runs: { scaled: 100, full: 3_000 },
    boundMs: BOUNDS,
    async run(trial) {
      const { random } = trial;
      await sendAll(trial, trial.runs, async (index) => {
        const request = index % 4 === 0 ? forged(random, rig.canaries, ALLOWED) : plain(random);
        await tell(trial, targetOf(trial), request, forgedHeaders(random, rig.canaries));
      });
    },
  },
  {
    id: 'X2 timing',
    title: 'a refusal takes as long whether somebody listens at the address or not',
    runs: { scaled: 40, full: 400 },
    boundMs: BOUNDS,
    async run(trial) {
      const { sidecar } = rig.targets;
      const open = rig.canaries.all[1]?.port;
      const [toOpen, toClosed]: [number[], number[]] = [[], []];
      for (let run = 0; run < trial.runs; run++) {
        const isOpen = run % 2 === 0;
        const body = { prompt: 'Once', max_tokens: 1, ...handoffs('127.0.0.2', isOpen ? open : 1)[0] };
        const { statuses, text, ms } = await exchange(sidecar.instance.url, post('/v1/completions', body, AS_PEER));
        if (statuses[0] === 403 && text.includes('address_not_allowed')) trial.injected();
        else trial.failed(`answered ${statuses.join()}: ${text}`);
        (isOpen ? toOpen : toClosed).push(ms);
      }
      const difference = Math.abs(median(toOpen) - median(toClosed));
      trial.worst('difference of medians', difference, 'ms');
      if (difference >= 5) trial.failed(`403 takes ${difference} ms longer for one than for the other`);
    },
  },
  {
    id: 'X3 port',
    title: 'a trusted peer names an allowed host with another port, and other hosts in any spelling',
    runs: { scaled: 80, full: 1_700 },
    boundMs: BOUNDS,
    async run(trial) {
      const { random } = trial;
      const { sidecar, embedded } = rig.targets;
      let refused = 0;
      await sendAll(trial, trial.runs, async (index) => {
        const target = random.pick([sidecar, sidecar, sidecar, embedded]);
        const [port] = [rig.canaries.all[0]?.port];
        const request =
          index % 3 === 0
            ? {
                path: '/v1/completions',
                body: { prompt: 'Once', max_tokens: 1, ...handoffs('127.0.0.1', port)[index % 2] },
              }
            : forged(random, rig.canaries, ALLOWED);
        const status = await tell(trial, target, request, [...AS_PEER, ...random.pick([[], ['x-baton-leg: 1']])]);
        if (status === 403) refused += 1;
        else if (index % 3 === 0 && target === sidecar)
          trial.failed(`answered ${status} to ${JSON.stringify(request)}`);
      });
      if (refused < trial.runs / 4) trial.failed(`only ${refused} were refused with 403`);
    },
  },
  {
    id: 'X3 answer',
    title: 'a hostile P hands over an address of a canary, and a peer redirects to one',
    runs: { scaled: 24, full: 240 },
    boundMs: BOUNDS,
    async run(trial) {
      const peer = await HostilePeer.start();
      const instance = await InstanceProcess.start({
        BATON_ENGINE_KIND: 'none',
        BATON_COORDINATION_CONNECTOR: 'nixl',
        BATON_COORDINATION_PREFILL_ENDPOINTS: `http://127.0.0.1:${peer.port}`,
        BATON_COORDINATION_DECODE_DIALECT: 'vllm',
        BATON_COORDINATION_DECODE_ENDPOINTS: rig.engines.decode.url,
        BATON_KV_PEERS: `${ALLOWED}:${rig.allowed.port}`,
        BATON_COORDINATION_PREFILL_BREAKER_FAILURES: '0',
        BATON_COORDINATION_RETRY_BUDGET_PERCENT: '0',
        BATON_COORDINATION_RETRY_BUDGET_PER_SECOND: '0',
        BATON_LOG_LEVEL: 'silent',
      });
      try {
        await sendAll(trial, trial.runs, async (index) => {
          // An endpoint without a KV address may name its own host: that of the canaries has to be another one.
          const canary = rig.canaries.all[index % 2 === 0 ? 2 : 3];
          peer.answer = (request, response) => {
            if (index % 3 === 0) {
              const location = `http://${canary?.host}:${canary?.port}${request.url}`;
              response.writeHead([301, 302, 307, 308][index % 4] ?? 307, { location }).end();
              return;
            }
            const params = { remote_host: canary?.host, remote_port: canary?.port, remote_block_ids: [[1]] };
            response.setHeader('content-type', 'application/json').end(handingOver(String(request.url), params));
          };
          const asked = peer.asked;
          const { path, body } = plain(trial.random);
          const { statuses, text } = await exchange(instance.url, post(path, { ...body, stream: false }));
          if (peer.asked > asked) trial.injected();
          if (![200, 502].includes(statuses[0] ?? 0))
            trial.failed(`answered ${statuses.join()}: ${text.slice(0, 300)}`);
        });
      } finally {
        await Promise.all([instance.stop(), peer.stop()]);
      }
    },
  },
  {
    id: 'X3 rebinding',
    title: 'the name of an engine resolves to a canary all of a sudden',
    runs: { scaled: 10, full: 60 },
    boundMs: BOUNDS,
    async run(trial) {
      const folder = await mkdtemp(join(tmpdir(), 'rebinding-'));
      const file = join(folder, 'dns.json');
      const resolveTo = (address: string): Promise<void> => writeFile(file, JSON.stringify({ 'engine.test': address }));
      await resolveTo('127.0.0.1');
      const peer = await HostilePeer.start();
      const canary = await Canary.listen('127.0.0.2', peer.port);
      peer.answer = (request, response) => {
        // So that the name is looked up for each request.
        response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
        response.end(handingOver(String(request.url), {}));
      };
      const instance = await InstanceProcess.start(
        {
          ...{ FAULTS_DNS: file, BATON_ENGINE_KIND: 'http', BATON_ENGINE_URL: `http://engine.test:${peer.port}` },
          ...{ BATON_SECURITY_OUTBOUND_NETWORKS: '127.0.0.1/32,10.0.0.0/8', BATON_LOG_LEVEL: 'silent' },
        },
        undefined,
        [new URL('./transport/patched-lookup.mjs', import.meta.url)],
      );
      const ask = async (): Promise<number> => {
        const { path, body } = plain(trial.random);
        return (await exchange(instance.url, post(path, { ...body, stream: false }))).statuses[0] ?? 0;
      };
      try {
        for (let run = 0; run < trial.runs; run++) {
          await resolveTo('127.0.0.1');
          const asked = peer.asked;
          const reached = await ask();
          if (reached !== 200 || peer.asked !== asked + 1) trial.failed(`the engine was not reached: ${reached}`);
          await resolveTo(trial.random.pick(['127.0.0.2', '169.254.169.254', '0.0.0.0']));
          const refused = await ask();
          if (refused === 502) trial.injected();
          else trial.failed(`answered ${refused} when the name had moved`);
        }
        if (canary.connections > 0) trial.failed(`${canary.connections} connections to the canary`);
        trial.worst('connections to canaries', canary.connections, '');
      } finally {
        await Promise.all([instance.stop(), peer.stop(), canary.stop(), rm(folder, { recursive: true })]);
      }
    },
  },
]);

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
