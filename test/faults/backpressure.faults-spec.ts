import { afterAll, beforeAll } from '@jest/globals';
import * as fc from 'fast-check';
import { Agent } from 'undici';
import { eventually } from '../support/eventually.js';
import { InstanceProcess } from '../support/instance-process.js';
import { HostileUpstream } from './bodies/hostile-upstream.js';
import { PROBE, probe } from './bodies/probe.js';
import { post } from './bodies/send.js';
import { Flood } from './readers/flood.js';
import { startReadersRig, type ReadersRig, type Way } from './readers/rig.js';
import { SlowReader } from './readers/slow-reader.js';
import { faultCases, type FaultCase, type Trial } from './support/fault-case.js';
import { FaultProxy } from './support/fault-proxy.js';
import { assertQuiet, baselineOf } from './support/quiet.js';

const MEBIBYTE = 1024 * 1024;
const STALL_MS = 1_500;
/** Buffered in the process of the instance for one reader, whatever the kernel holds besides. */
const MOST_PER_READER = 256 * 1024;
/** What a process takes by and by whatever its readers do: code, garbage that is not collected yet. */
const SLACK = 60 * MEBIBYTE;
const MOST_OF_ALL = 200 * MEBIBYTE;

let rig: ReadersRig;
let agent: Agent;
beforeAll(async () => {
  rig = await startReadersRig({ BATON_SERVER_STALL_TIMEOUT_MS: String(STALL_MS) });
  agent = new Agent();
});
afterAll(async () => {
  await agent.destroy();
  await rig.stop();
});

/** Waits until nothing more is written for half a second. */
async function untilPaused(trial: Trial, flood: Flood, what: string): Promise<void> {
  let [before, since] = [-1, performance.now()];
  await eventually(
    `the upstream is paused: ${what}`,
    () => {
      if (flood.written !== before) [before, since] = [flood.written, performance.now()];
      return performance.now() - since > 500;
    },
    60_000,
  ).catch((error: unknown) => trial.failed(String(error)));
}

async function slowReaders(trial: Trial, way: Way, readers: number): Promise<void> {
  const { name, instance, server, path, body } = way;
  const baseline = await baselineOf([instance]);
  const flood = new Flood(way.events, readers);
  server.behave = flood.behave;
  const stalledBefore = await instance.metric('baton_stream_end_total', { reason: 'client_stalled' });
  const { rssBytes: rssBefore } = await probe(instance);
  const asked: SlowReader[] = [];
  for (let index = 0; index < readers; index += 1) {
    asked.push(await SlowReader.ask(instance.port, path, body, index % 2 === 0 ? 0 : 1_024));
  }
  await eventually('every stream has begun', () => flood.streams.length === readers, 30_000);
  await untilPaused(trial, flood, name);
  const { rssBytes } = await probe(instance);
  const grown = rssBytes - rssBefore;
  trial.worst(`RSS of ${readers} readers, ${name}`, grown / MEBIBYTE, 'MiB');
  if (grown > Math.min(MOST_OF_ALL, SLACK + readers * MOST_PER_READER)) {
    trial.failed(`${name}: RSS grew by ${Math.round(grown / MEBIBYTE)} MiB for ${readers} readers`);
  }
  trial.injected(flood.streams.filter(({ written }) => written < 64 * MEBIBYTE).length);
  // Those who take nothing are cut off, and the engine is told; those who take a little leave by themselves.
  const stalled = asked.filter((_reader, index) => index % 2 === 0).length;
  const cutOff = async (): Promise<number> =>
    (await instance.metric('baton_stream_end_total', { reason: 'client_stalled' })) - stalledBefore;
  await eventually(
    'those who take nothing are cut off',
    async () => (await cutOff()) >= stalled,
    4 * STALL_MS + 5_000,
  ).catch(async (error: unknown) => trial.failed(`${name}: ${String(error)}: ${await cutOff()} of ${stalled}`));
  for (const reader of asked) reader.reset();
  await eventually('every stream of the engine is over', () => flood.open === 0, 5_000).catch((error: unknown) =>
    trial.failed(`${name}: ${String(error)}: ${flood.open} are open`),
  );
  server.behaveWell();
  await assertQuiet(trial, baseline, { withinMs: 5_000, idleConnections: 2 * readers });
}

const slow: FaultCase = {
  id: 'R7',
  title: 'readers that take 1 KiB/s of 64 MiB, or nothing: the engine is paused, and told when they are cut off',
  runs: { scaled: 16, full: 800 },
  boundMs: { scaled: 90_000, full: 400_000 },
  run: async (trial) => {
    if (!trial.isFull) {
      await Promise.all(rig.ways.map((way) => slowReaders(trial, way, trial.runs / rig.ways.length)));
      return;
    }
    for (const [index, way] of rig.ways.entries()) await slowReaders(trial, way, index === 0 ? 500 : 100);
  },
};

const stalledThenReset: FaultCase = {
  id: 'R8',
  title: 'a reader that stalls until all buffers are full, then resets',
  runs: { scaled: 8, full: 1_000 },
  boundMs: { scaled: 60_000, full: 400_000 },
  run: async (trial) => {
    // They reset before they would be cut off, however long it takes to fill the buffers.
    const rig = await startReadersRig({ BATON_SERVER_STALL_TIMEOUT_MS: '60000' });
    try {
      await stallThenReset(trial, rig);
    } finally {
      await rig.stop();
    }
  },
};

async function stallThenReset(trial: Trial, { ways, instances }: ReadersRig): Promise<void> {
  const baseline = await baselineOf(instances);
  const atOnce = trial.isFull ? 50 : 2;
  for (let run = 0; run < trial.runs; run += atOnce) {
    // Filling buffers with what has to be read and written anew takes long: in full, one group of each such way.
    const way = ways[run / atOnce] ?? ways[0]!;
    const flood = new Flood(way.events, atOnce);
    way.server.behave = flood.behave;
    const readers = await Promise.all(
      Array.from({ length: atOnce }, () => SlowReader.ask(way.instance.port, way.path, way.body)),
    );
    await eventually('every stream has begun', () => flood.streams.length === atOnce, 10_000);
    await untilPaused(trial, flood, way.name);
    trial.injected(flood.open);
    const start = performance.now();
    for (const reader of readers) reader.reset();
    const over = async (): Promise<boolean> =>
      flood.open === 0 && (await way.instance.metric('baton_inflight_requests')) === 0;
    await eventually('nothing is pending', over, 1_000).catch((error: unknown) =>
      trial.failed(`${way.name}: ${String(error)}, ${flood.open} streams are open`),
    );
    trial.worst('nothing pending after', performance.now() - start, 'ms');
    way.server.behaveWell();
  }
  await assertQuiet(trial, baseline, { idleConnections: 2 * atOnce });
}

const UNIT = fc.constantFrom(
  ...['a', ' ', '"', '\\', '\n', '\r\n', '\u2028', '\0', 'é', 'ß', 'ı', '漢', '字', '한', 'अ', 'ก็', 'ﷺ'],
  ...['🦊', '👩‍👩‍👧‍👦', '🏳️‍🌈', '👍🏽', '🇩🇪', 'e\u0301', '\u200d', '\ufeff', '\u{10ffff}', 'data: ', '[DONE]'],
);
const STRINGS_AT_ONCE = 50;

const chopped: FaultCase = {
  id: 'R25',
  title: 'streams in pieces of 1 to 7 bytes, with emoji, CJK and every line end: not one byte is another',
  runs: { scaled: 200, full: 5_000 },
  run: async (trial) => {
    const server = await HostileUpstream.start();
    const proxy = await FaultProxy.before(server.url, trial.random);
    proxy.plan = { chop: [1, 7] };
    const instance = await InstanceProcess.start(
      { BATON_ENGINE_KIND: 'http', BATON_ENGINE_URL: proxy.url, BATON_LOG_LEVEL: 'error' },
      undefined,
      [PROBE],
    );
    try {
      for (let run = 0; run < trial.runs; run += STRINGS_AT_ONCE) {
        const seed = trial.random.below(2 ** 31);
        const strings = fc.sample(fc.string({ unit: UNIT }), { seed, numRuns: STRINGS_AT_ONCE });
        const end = trial.random.pick(['\n', '\r\n', '\r']);
        const isEscaped = trial.random.below(2) === 0;
        const events = strings.map((said) => eventOf(said, end, isEscaped));
        const sent = Buffer.from([...events, eventOf('', end, false, 'stop'), `data: [DONE]${end}${end}`].join(''));
        server.behave = (_asked, response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          response.end(sent);
        };
        const chopsBefore = proxy.counts.chops;
        const reply = await post(agent, `${instance.url}/v1/completions`, '{"prompt":"x","stream":true}');
        if (proxy.counts.chops > chopsBefore) trial.injected(STRINGS_AT_ONCE);
        if (reply.text !== sent.toString('utf8')) trial.failed(`seed ${seed}: other bytes came, ${reply.status}`);
        else if (said(reply.text) !== strings.join('')) trial.failed(`seed ${seed}: another text came`);
      }
      trial.worst('chops', proxy.counts.chops, '');
    } finally {
      await Promise.all([instance, proxy, server].map((each) => each.stop()));
    }
  },
};

function eventOf(text: string, end: string, isEscaped: boolean, finish_reason: string | null = null): string {
  const json = JSON.stringify({ id: 'x', choices: [{ index: 0, text, finish_reason }] });
  const written = isEscaped
    ? json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : json;
  return `data: ${written}${end}${end}`;
}

/** The text of all events. */
function said(stream: string): string {
  const events = stream.split(/\r\n|\r|\n/).filter((line) => line.startsWith('data: {'));
  return events
    .map((line) => (JSON.parse(line.slice(6)) as { choices: { text: string }[] }).choices[0]?.text ?? '')
    .join('');
}

faultCases('slow and stalled readers', [slow, stalledThenReset, chopped]);
