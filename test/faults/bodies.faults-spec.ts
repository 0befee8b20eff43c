import { afterAll, beforeAll } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { badAnswers, pollutedAnswers } from './bodies/bad-answers.js';
import { bombs, NO_TEXT, PITFALLS, type Bomb } from './bodies/bombs.js';
import { bodyWith, FIELDS } from './bodies/fields.js';
import { fuzzEvents, fuzzHttp } from './bodies/fuzz.js';
import { probe } from './bodies/probe.js';
import { startBodiesRig, type BodiesRig } from './bodies/rig.js';
import { post } from './bodies/send.js';
import { faultCases, type FaultCase, type Trial } from './support/fault-case.js';
import { assertQuiet, baselineOf } from './support/quiet.js';

const MEBIBYTE = 1024 * 1024;
/** On a machine that does nothing else it is a fraction of them; here others compute as well. */
const MOST_BLOCKED_MS = { small: 250, large: 2_000 };

let rig: BodiesRig;
let agent: Agent;
beforeAll(async () => {
  rig = await startBodiesRig();
  agent = new Agent({ headersTimeout: 60_000, bodyTimeout: 60_000 });
  for (const { url } of rig.instances) await post(agent, `${url}/v1/completions`, '{"prompt":"x"}');
});
afterAll(async () => {
  await agent.destroy();
  await rig.stop();
});

async function throwBomb(
  trial: Trial,
  { name, body, status }: Bomb,
  mostBlockedMs: number,
  size: string,
): Promise<void> {
  const { plain } = rig;
  await probe(plain);
  const reply = await post(agent, `${plain.url}/v1/completions`, body);
  const { blockedMs, isPolluted } = await probe(plain);
  trial.injected();
  trial.worst(`busy at ${size}`, blockedMs, 'ms');
  const isRight = status === undefined ? reply.status < 500 : reply.status === status;
  if (!isRight) trial.failed(`${size}, ${name}: ${reply.status} ${reply.text.slice(0, 200)}`);
  if (reply.status >= 400 && reply.code === undefined) trial.failed(`${size}, ${name}: an error of another shape`);
  if (blockedMs > mostBlockedMs) trial.failed(`${size}, ${name}: the event loop was busy for ${blockedMs} ms`);
  if (isPolluted) trial.failed(`${size}, ${name}: a prototype was changed`);
}

const bodyBombs: FaultCase = {
  id: 'X6 bodies',
  title: 'bodies that are JSON bombs, of 1 MiB (and of 64 MiB in full), and small ones with one pitfall each',
  runs: { scaled: 41, full: 59 },
  run: async (trial) => {
    const baseline = await baselineOf(rig.watched);
    for (const pitfall of [...PITFALLS, ...NO_TEXT]) await throwBomb(trial, pitfall, MOST_BLOCKED_MS.small, 'no size');
    for (const bomb of bombs(MEBIBYTE)) await throwBomb(trial, bomb, MOST_BLOCKED_MS.small, '1 MiB');
    if (trial.isFull) {
      for (const bomb of bombs(64 * MEBIBYTE)) await throwBomb(trial, bomb, MOST_BLOCKED_MS.large, '64 MiB');
    }
    await assertQuiet(trial, baseline, { idleConnections: 4 });
  },
};

const HEADERS: readonly (readonly [headers: Record<string, string>, status: number])[] = [
  [{ __proto__x: '1', 'x-constructor': '{"prototype":{"polluted":1}}' }, 200],
  [JSON.parse('{"__proto__":"polluted"}') as Record<string, string>, 200],
  [{ constructor: 'prototype', prototype: 'polluted' }, 200],
  [{ 'content-encoding': 'gzip' }, 415],
  [{ 'content-encoding': 'identity' }, 200],
  [{ 'content-type': 'application/json; charset=utf-16' }, 415],
  [{ 'content-type': 'application/json; charset=utf-8' }, 200],
  [{ 'content-type': 'application/json\ta' }, 415],
  [{ 'content-type': 'application/json garbage' }, 415],
  [{ 'content-type': 'text/plain' }, 415],
];

const headerBombs: FaultCase = {
  id: 'X6 headers',
  title: 'headers that are named as parts of a prototype, or say what a body is not',
  runs: { scaled: HEADERS.length, full: HEADERS.length },
  run: async (trial) => {
    for (const [headers, status] of HEADERS) {
      const before = rig.inferences();
      const reply = await post(agent, `${rig.plain.url}/v1/completions`, '{"prompt":"x"}', headers);
      trial.injected();
      const isAsked = rig.inferences() > before;
      if (reply.status !== status || isAsked !== (status === 200)) {
        trial.failed(`${JSON.stringify(headers)}: ${reply.status}, ${isAsked ? '' : 'not '}asked`);
      }
      if ((await probe(rig.plain)).isPolluted) trial.failed(`${JSON.stringify(headers)}: a prototype was changed`);
    }
  },
};

const PATHS = Object.keys(FIELDS);
const bodyFor = (path: string, isStream: boolean): string => bodyWith(path, 'seed', '1', isStream);

const answerBombs: FaultCase = {
  id: 'X6 answers',
  title: "engines' answers that are JSON bombs, none at all, or named as parts of a prototype",
  runs: { scaled: 60, full: 120 },
  run: async (trial) => {
    const baseline = await baselineOf(rig.watched);
    const sides = [
      { at: rig.plain, server: rig.engine, name: 'the engine' },
      { at: rig.coordinator, server: rig.prefill, name: 'P' },
      { at: rig.coordinator, server: rig.decode, name: 'D' },
    ];
    const paths = trial.isFull ? PATHS : [PATHS[0]!];
    for (const { at, server, name: side } of sides) {
      for (const path of paths) {
        for (const { name, isStream, behave, told } of badAnswers()) {
          // Nobody streams from P.
          if (isStream && side === 'P') continue;
          server.behave = behave;
          const reply = await post(agent, at.url + path, bodyFor(path, isStream));
          trial.injected();
          const isTold =
            'status' in told ? reply.status === told.status && reply.code !== undefined : reply.code === told.code;
          if (!isTold) trial.failed(`${side} on ${path} with ${name}: ${reply.status} ${reply.text.slice(-200)}`);
        }
        for (const { name, isStream, behave } of pollutedAnswers()) {
          if (isStream && side === 'P') continue;
          server.behave = behave;
          const reply = await post(agent, at.url + path, bodyFor(path, isStream));
          trial.injected();
          if (reply.status >= 500) trial.failed(`${side} on ${path} with ${name}: ${reply.status} ${reply.text}`);
        }
      }
      server.behaveWell();
      const { isPolluted, blockedMs } = await probe(at);
      trial.worst('busy', blockedMs, 'ms');
      if (isPolluted) trial.failed(`${side} has changed a prototype`);
      const reply = await post(agent, `${at.url}/v1/completions`, '{"prompt":"x"}');
      if (reply.status !== 200) trial.failed(`after ${side}, a good answer: ${reply.status} ${reply.text}`);
    }
    await assertQuiet(trial, baseline, { idleConnections: 6 });
  },
};

const resourceFields: FaultCase = {
  id: 'X7',
  title: 'resource fields beyond their limits, negative, fractions, NaN, 2^53',
  runs: { scaled: 300, full: 1_200 },
  run: async (trial) => {
    const baseline = await baselineOf(rig.watched);
    const before = rig.inferences();
    for (const instance of rig.instances) {
      for (const [path, fields] of Object.entries(FIELDS)) {
        for (const { field, refused } of fields) {
          for (const written of refused) {
            for (const isStream of trial.isFull ? [false, true, false, true] : [false]) {
              const reply = await post(agent, instance.url + path, bodyWith(path, field, written, isStream));
              trial.injected();
              if (reply.status !== 400) {
                trial.failed(`${path} ${field}: ${written.slice(0, 40)}: ${reply.status} ${reply.text.slice(0, 100)}`);
              }
            }
          }
        }
      }
    }
    const calls = rig.inferences() - before;
    trial.worst('calls of an engine', calls, '');
    if (calls > 0) trial.failed(`engines were called ${calls} times`);
    await assertQuiet(trial, baseline);
  },
};

const fuzz: FaultCase = {
  id: 'X14',
  title: 'HTTP and event streams at random (1,000,000 inputs would take an hour: as many as fit)',
  runs: { scaled: 300, full: 5_000 },
  boundMs: { scaled: 60_000, full: 600_000 },
  run: async (trial) => {
    const baseline = await baselineOf(rig.watched);
    // Its connections are its own, and gone with it.
    const many = new Agent({ headersTimeout: 60_000, bodyTimeout: 60_000 });
    const until = performance.now() + (trial.isFull ? 150_000 : 3_000);
    let inputs = 0;
    while (performance.now() < until) {
      inputs += await fuzzHttp(trial, rig, 200);
      inputs += await fuzzEvents(trial, rig, many, 100);
    }
    trial.worst('inputs', inputs, '');
    trial.injected(inputs);
    rig.behaveWell();
    await many.destroy();
    await sleep(100);
    for (const instance of rig.instances) {
      if (instance.child.exitCode !== null) trial.failed('an instance has ended');
      const reply = await post(agent, `${instance.url}/v1/completions`, '{"prompt":"x"}');
      if (reply.status !== 200) trial.failed(`afterwards, a good request: ${reply.status} ${reply.text}`);
      if ((await probe(instance)).isPolluted) trial.failed('a prototype was changed');
    }
    await assertQuiet(trial, baseline, { withinMs: 6_000, idleConnections: 40 });
  },
};

faultCases('bodies', [bodyBombs, headerBombs, answerBombs, resourceFields, fuzz]);
