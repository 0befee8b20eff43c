import { afterAll, beforeAll } from '@jest/globals';
import { InstanceProcess } from '../support/instance-process.js';
import { FLOWS } from '../support/requests.js';
import { fuzzedHeaders, leakOf, SECRET } from './keys/header-fuzz.js';
import { listeningOf } from './keys/listening.js';
import { asAdmin, bearer, KEYS, startKeysRig, type KeysRig } from './keys/rig.js';
import { PROMPT_SECRET, secretRequest } from './keys/secret-bodies.js';
import { OVERRIDES, PATHS, requestText, STRANGERS, type Route } from './keys/variants.js';
import { exchange, post } from './ssrf/exchange.js';
import { faultCases, type Trial } from './support/fault-case.js';

const AT_ONCE = 8;
/** What the engines remember is read after so many. */
const BATCH = 250;
const METHODS = ['get', 'post'];
const OPEN = /^\/health\//;
/** Routes that a client's key does not open. */
const NOT_FOR_CLIENTS = /^\/(?:metrics|baton\/v1\/info|admin\/\w+)$/;
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
const SECRETS = [...Object.values(KEYS), SECRET];

let rig: KeysRig;
beforeAll(async () => {
  rig = await startKeysRig();
}, 30_000);
afterAll(() => rig.stop());

/** Does `count` things, some at once. */
async function each(count: number, act: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

interface Told {
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Requests of a client with a key, with secrets in any header, split over two engines that have keys of their own. */
async function credentials(trial: Trial): Promise<void> {
  const sides = [
    { engine: rig.prefill, key: KEYS.toPrefill },
    { engine: rig.decode, key: KEYS.toDecode },
  ];
  for (let done = 0; done < trial.runs; done += BATCH) {
    const count = Math.min(BATCH, trial.runs - done);
    await each(count, async () => {
      const flow = trial.random.pick(FLOWS);
      const body = { model: 'sim', ...flow.body('A fox and a key.', [5, 6, 7], 2) };
      const { statuses } = await exchange(rig.instance.url, post(flow.path, body, fuzzedHeaders(trial.random)));
      if (statuses[0] !== 200) trial.failed(`it answered ${statuses.join()}`);
    });
    for (const { engine, key } of sides) {
      const told = (await engine.get('requests')) as unknown as readonly Told[];
      for (const leak of told.flatMap(({ headers }) => leakOf(headers, key) ?? []))
        trial.failed(`an engine saw ${leak}`);
      if (engine === rig.decode) trial.injected(told.length);
      await engine.forget();
    }
  }
}

async function routes(): Promise<Route[]> {
  const document = (await (await asAdmin(rig.instance, '/openapi.json')).json()) as { paths: Record<string, object> };
  return Object.entries(document.paths)
    .filter(([path]) => !OPEN.test(path))
    .flatMap(([path, item]) =>
      METHODS.filter((method) => method in item).map((method) => ({ method: method.toUpperCase(), path })),
    );
}

interface Attempt {
  readonly route: Route;
  readonly path: string;
  readonly method: string;
  readonly lines: readonly string[];
  readonly isClient: boolean;
}

/** Every route, in every spelling, by everybody who may not ask it. */
function attempts(all: readonly Route[]): Attempt[] {
  return all.flatMap((route) =>
    PATHS.flatMap((spell) =>
      OVERRIDES.flatMap((override) => {
        const { method, lines } = override(route.method);
        const attempt = (more: readonly string[], isClient: boolean): Attempt => ({
          ...{ route, method, isClient, path: spell(route.path), lines: [...lines, ...more] },
        });
        const byClient = NOT_FOR_CLIENTS.test(route.path)
          ? [attempt([`authorization: ${bearer(KEYS.client)}`], true)]
          : [];
        return [...STRANGERS.map((more) => attempt(more, false)), ...byClient];
      }),
    ),
  );
}

/** A path that is not valid is a 400 for everybody; a stranger learns of no path whether it is a route. */
function isRefused({ isClient }: Attempt, status: number): boolean {
  return isClient ? [400, 403, 404, 405].includes(status) : [400, 401].includes(status);
}

async function strangers(trial: Trial): Promise<void> {
  const all = attempts(await routes());
  const chosen = trial.isFull ? all : Array.from({ length: trial.runs }, () => trial.random.pick(all));
  const seen = new Map<number, number>();
  await each(chosen.length, async (index) => {
    const attempt = chosen[index]!;
    const { path, method, lines } = attempt;
    const { statuses, text } = await exchange(rig.instance.url, requestText(method, path, lines));
    const status = statuses[0] ?? 0;
    seen.set(status, (seen.get(status) ?? 0) + 1);
    if (isRefused(attempt, status)) trial.injected();
    else trial.failed(`${status} to ${method} ${path} with ${lines.join(', ')}: ${text.slice(0, 200)}`);
    if (status === 401 && !/\r\nwww-authenticate: Bearer\r\n/i.test(text)) trial.failed('a 401 without a challenge');
  });
  const opened = (await rig.prefill.get('requests')) as unknown as readonly unknown[];
  if (opened.length > 0) trial.failed(`${opened.length} requests of strangers reached an engine`);
  for (const [status, count] of seen) trial.worst(`answered ${status}`, count, '');
  trial.worst('a nearly right key against a wrong one', await timing(trial), 'us');
}

/** How much longer a key takes that differs from a right one in its last letter only; the median of each. */
async function timing(trial: Trial): Promise<number> {
  const keys = ['x'.repeat(KEYS.client.length), `${KEYS.client.slice(0, -1)}x`];
  const times: number[][] = [[], []];
  const rounds = trial.isFull ? 2_000 : 100;
  for (let round = 0; round < rounds; round += 1) {
    for (const [which, key] of keys.entries()) {
      const start = performance.now();
      await (await fetch(`${rig.instance.url}/v1/models`, { headers: { authorization: bearer(key) } })).text();
      times[which]!.push((performance.now() - start) * 1_000);
    }
  }
  const [wrong, nearly] = times.map((list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0);
  return Math.abs((nearly ?? 0) - (wrong ?? 0));
}

const ENGINE_KEYS = `${KEYS.toPrefill} ${KEYS.toDecode}`;
/** What engines say when they fail. Their words of a 400 or a 404 are for the client, so that these have no keys in them. */
const FAILURES: readonly (readonly unknown[])[] = [
  [],
  ...[400, 404].map((status) => [{ kind: 'http_status', status, message: `${PROMPT_SECRET} is not known` }]),
  ...[401, 403, 429, 500, 503].map((status) => [
    { kind: 'http_status', status, message: `${PROMPT_SECRET}: bad key ${ENGINE_KEYS}` },
  ]),
  [{ kind: 'reset', at: 'head' }],
  [{ kind: 'cut', afterTokens: 1 }],
  [{ kind: 'malformed_json' }],
];

async function secrets(trial: Trial): Promise<void> {
  const levels = trial.isFull ? LEVELS : LEVELS.slice(0, 1);
  const perLevel = Math.ceil(trial.runs / levels.length);
  for (const level of levels) {
    const talkative = await startKeysRig({ BATON_LOG_LEVEL: level });
    try {
      await tellSecrets(trial, talkative, perLevel);
    } finally {
      await talkative.stop();
    }
    const log = talkative.instance.output.join('');
    if (level === 'trace' && !log.includes('"caller":"shop"')) trial.failed('the log does not say who called');
    for (const secret of [...SECRETS, PROMPT_SECRET]) {
      if (log.includes(secret)) trial.failed(`the log at ${level} has ${lineWith(log, secret)}`);
    }
  }
}

async function tellSecrets(trial: Trial, { instance, prefill, decode }: KeysRig, count: number): Promise<void> {
  const perFailure = Math.ceil(count / FAILURES.length);
  for (const failure of FAILURES) {
    await Promise.all([prefill.misbehave(failure), decode.misbehave(failure)]);
    await each(perFailure, async () => {
      const { path, body } = secretRequest(trial.random);
      const response = await fetch(instance.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: bearer(KEYS.client), cookie: SECRET },
        body,
      });
      const text = await response.text().catch(() => '');
      trial.injected();
      for (const secret of SECRETS) {
        if (text.includes(secret)) trial.failed(`${response.status} to ${path} has ${lineWith(text, secret)}`);
      }
    });
  }
  const page = await (await asAdmin(instance, '/metrics')).text();
  const shown = await (await asAdmin(instance, '/admin/config')).text();
  for (const secret of [...SECRETS, PROMPT_SECRET]) {
    if (page.includes(secret)) trial.failed(`a metric has ${lineWith(page, secret)}`);
    if (shown.includes(secret)) trial.failed(`the configuration shows ${lineWith(shown, secret)}`);
  }
}

function lineWith(text: string, secret: string): string {
  return (
    text
      .split('\n')
      .find((line) => line.includes(secret))
      ?.slice(0, 500) ?? ''
  );
}

/** What an instance opens that is started as in production: its ports, and what it says to pages of other origins. */
async function exposure(trial: Trial): Promise<void> {
  const production = { NODE_ENV: 'production', BATON_SECURITY_KEYLESS: 'auto', BATON_ENGINE_THREADS: '1' };
  const embedded = await InstanceProcess.start(production);
  try {
    await expectPorts(trial, embedded, [embedded.port, embedded.kvPort ?? 0]);
    await expectPorts(trial, rig.instance, [rig.instance.port]);
    for (const path of [
      '/openapi.json',
      '/docs',
      '/metrics',
      '/baton/v1/info',
      '/debug',
      '/admin/config',
      '/v1/models',
    ]) {
      await expectClosed(trial, rig.instance, path);
      const isAbsent = ['/debug', '/admin/config'].includes(path);
      const { status } = await fetch(embedded.url + path);
      if (isAbsent ? status !== 404 : status !== 200) trial.failed(`${path} is ${status} without any keys`);
      await expectNoCors(trial, embedded, path);
    }
    const side = await fetch(`http://127.0.0.1:${embedded.kvPort}/kv/v1/handoffs/any`);
    if (side.status !== 403) trial.failed(`the side channel answered ${side.status}`);
    trial.injected();
  } finally {
    await embedded.stop();
  }
}

async function expectPorts(trial: Trial, instance: InstanceProcess, ports: readonly number[]): Promise<void> {
  const expected = ports.map((port) => `127.0.0.1:${port}`).sort();
  const found = await listeningOf(instance.pid);
  if (found.join() !== expected.join()) trial.failed(`it listens on ${found.join()}, not on ${expected.join()}`);
}

async function expectClosed(trial: Trial, instance: InstanceProcess, path: string): Promise<void> {
  const { status } = await fetch(instance.url + path);
  if (status !== 401) trial.failed(`${path} is ${status} without a key`);
}

async function expectNoCors(trial: Trial, instance: InstanceProcess, path: string): Promise<void> {
  for (const method of ['GET', 'OPTIONS']) {
    const headers = { origin: 'http://elsewhere', 'access-control-request-method': 'POST' };
    const answer = await fetch(instance.url + path, { method, headers });
    const cors = [...answer.headers.keys()].filter((name) => name.startsWith('access-control-'));
    if (cors.length > 0) trial.failed(`${method} ${path} answers with ${cors.join()}`);
  }
}

const LONG = { scaled: 60_000, full: 600_000 };

faultCases('keys', [
  {
    ...{ id: 'X4', title: 'credentials of clients stay here', boundMs: LONG },
    runs: { scaled: 100, full: 5_000 },
    run: credentials,
  },
  {
    ...{ id: 'X9', title: 'no spelling of a route opens it without its key', boundMs: LONG },
    runs: { scaled: 400, full: 10_000 },
    run: strangers,
  },
  {
    ...{ id: 'X10', title: 'no secret is in logs, metrics, errors', boundMs: LONG },
    runs: { scaled: 110, full: 3_300 },
    run: secrets,
  },
  {
    ...{ id: 'X13', title: 'nothing is open but what has to be', boundMs: LONG },
    runs: { scaled: 1, full: 1 },
    run: exposure,
  },
]);
