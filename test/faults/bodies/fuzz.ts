import * as fc from 'fast-check';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Agent } from 'undici';
import type { Random } from '../support/random.js';
import type { Trial } from '../support/fault-case.js';
import { bodyWith, FIELDS } from './fields.js';
import { chunkOf, event } from './hostile-upstream.js';
import type { BodiesRig } from './rig.js';
import { post } from './send.js';

/** No answer within this time is a hang. */
const HANG_MS = 5_000;
/** Statuses from 500 on that are declared: of what an upstream did, what the engine cannot do, or a circle of instances. */
const DECLARED = new Set([501, 502, 503, 504, 508]);
const AT_ONCE = 20;

const PATHS = [
  ...['/v1/completions', '/v1/chat/completions', '/inference/v1/generate', '/v1/inference/generate', '/tokenize'],
  ...['/detokenize', '/v1/models', '/abort_requests', '/health', '/metrics', '/baton/v1/info', '/docs', '/', '//'],
  ...['/v1/completions/render', '/v1/chat/completions/render', '/v1/completions/derender', '/admin/drain'],
];
const METHODS = ['POST', 'POST', 'POST', 'GET', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'TRACE', 'post', 'X'];
const HEADERS = [
  ...['transfer-encoding: chunked', 'content-length: 5', 'expect: 100-continue', 'connection: upgrade', 'upgrade: h2c'],
  ...[
    'x-request-id: \u00e9',
    'x-request-id: a,b',
    'x-request-timeout-ms: -1',
    'x-request-timeout-ms: 1e9',
    'x-baton-leg: 1',
  ],
  ...['content-encoding: gzip', 'accept: */*', 'range: bytes=0-', 'x-baton-hops: 99', 'authorization: Bearer \t'],
];

/** Requests as bytes, most of them a good one with some bytes changed. @returns how many. */
export async function fuzzHttp(trial: Trial, rig: BodiesRig, count: number): Promise<number> {
  const { random } = trial;
  const values = fc.sample(fc.jsonValue({ maxDepth: 4 }), { seed: random.below(2 ** 31), numRuns: count });
  const inputs = values.map((value) => rawRequest(random, value));
  await inTurns(inputs, async (input) => {
    const instance = random.pick(rig.instances);
    const heard = await exchange(Number(new URL(instance.url).port), input);
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(heard.text)?.[1] ?? 0);
    const shown = JSON.stringify(input.toString('latin1').slice(0, 300));
    if (heard.isHanging && !heard.text.startsWith('HTTP/1.1')) return;
    if (status >= 500 && !DECLARED.has(status)) trial.failed(`${status} for ${shown}: ${heard.text.slice(-200)}`);
  });
  return count;
}

function rawRequest(random: Random, value: unknown): Buffer {
  const path = random.pick(PATHS);
  const fields = FIELDS[path] ?? FIELDS['/v1/completions']!;
  const good = bodyWith(path, random.pick(fields).field, JSON.stringify(value), random.below(2) === 0);
  const body = mutated(random, Buffer.from(random.below(4) === 0 ? JSON.stringify(value) : good));
  const head = [
    `${random.pick(METHODS)} ${path}${random.below(5) === 0 ? '?a=%00&b[__proto__]=1' : ''} HTTP/1.1`,
    'host: x',
    `content-type: ${random.below(8) === 0 ? 'text/plain' : 'application/json'}`,
    `content-length: ${body.length + (random.below(20) === 0 ? 1 : 0)}`,
    'connection: close',
    ...(random.below(3) === 0 ? [random.pick(HEADERS)] : []),
  ];
  const request = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
  return random.below(6) === 0 ? mutated(random, request) : request;
}

/** Some bytes changed, taken out, or there twice. */
function mutated(random: Random, bytes: Buffer): Buffer {
  let result = bytes;
  for (let times = random.below(4); times > 0 && result.length > 0; times -= 1) {
    const at = random.below(result.length);
    const to = Math.min(result.length, at + random.below(8));
    const put = random.pick([
      Buffer.from([random.below(256)]),
      result.subarray(at, to),
      Buffer.from('"'),
      Buffer.from('{['),
    ]);
    result = Buffer.concat([result.subarray(0, at), put, result.subarray(random.below(2) === 0 ? at : to)]);
  }
  return result;
}

/** Sends all of it, and FIN: what waits for more bytes is over then. */
async function exchange(port: number, bytes: Buffer): Promise<{ text: string; isHanging: boolean }> {
  const socket = connect({ host: '127.0.0.1', port });
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), HANG_MS);
  socket.write(bytes);
  setTimeout(() => socket.end(), 1_000).unref();
  const isHanging = await Promise.race([closed.then(() => false), once(late.signal, 'abort').then(() => true)]);
  clearTimeout(timer);
  socket.destroy();
  return { text, isHanging };
}

/** Streams of an engine at random: the client always gets its end, and it is right or says so. @returns how many. */
export async function fuzzEvents(trial: Trial, rig: BodiesRig, agent: Agent, count: number): Promise<number> {
  const { random } = trial;
  const words = fc.sample(fc.jsonValue({ maxDepth: 3 }), { seed: random.below(2 ** 31), numRuns: count });
  const paths = Object.keys(FIELDS);
  for (const server of [rig.engine, rig.decode]) {
    server.behave = async ({ path }, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const bytes = eventsAtRandom(random, path, words);
      for (let at = 0; at < bytes.length;) {
        const end = at + 1 + random.below(200);
        response.write(bytes.subarray(at, end));
        at = end;
        if (random.below(4) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      if (random.below(6) === 0) response.destroy();
      else response.end();
    };
  }
  await inTurns(words, async () => {
    const path = random.pick(paths);
    const instance = random.pick(rig.instances);
    const reply = await within(post(agent, instance.url + path, bodyWith(path, 'seed', '1', true)));
    if (reply === undefined) return trial.failed(`a stream of ${path} hangs`);
    if (reply.status >= 500 && !DECLARED.has(reply.status))
      trial.failed(`${reply.status}: ${reply.text.slice(0, 300)}`);
    if (reply.code === 'internal_error') trial.failed(`internal_error: ${reply.text.slice(-300)}`);
    // Lines of the event that says so may follow: what is no field means nothing.
    if (reply.isStream && !/^data: ?\[DONE\](?:\r\n?|\n)(?:.+(?:\r\n?|\n))*\s*$/m.test(reply.text))
      trial.failed(`no end: ${reply.text.slice(-300)}`);
  });
  rig.behaveWell();
  return count;
}

function eventsAtRandom(random: Random, path: string, words: readonly unknown[]): Buffer {
  const chunk = chunkOf(path) as { choices: Record<string, unknown>[] };
  const going = { ...chunk, choices: chunk.choices.map((choice) => ({ ...choice, finish_reason: null })) };
  const pieces = Array.from({ length: random.below(6) }, () =>
    random.pick([
      event(going),
      event(random.pick(words)),
      event({ ...going, choices: random.pick(words) }),
      event({ ...going, usage: random.pick(words) }),
      event({ ...going, kv_transfer_params: random.pick(words) }),
      event({ error: random.pick(words) }),
      ': comment\r\n\r\n',
      'event: x\rdata: 1\r\r',
      'data\n\n',
      '\n\n',
    ]),
  );
  const all = Buffer.from([...pieces, ...(random.below(3) === 0 ? [] : [event(chunk), 'data: [DONE]\n\n'])].join(''));
  return random.below(2) === 0 ? all : mutated(random, all);
}

async function inTurns<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += AT_ONCE) await Promise.all(items.slice(at, at + AT_ONCE).map(run));
}

/** Undefined when it is not over in time. */
async function within<T>(result: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), HANG_MS)));
  try {
    return await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}
