import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startCoordinator, type Coordinator } from '../support/coordinator.js';
import { startDeployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import type { InstanceProcess } from '../support/instance-process.js';

type Json = Record<string, unknown>;

const ADMIN = 'a'.repeat(32);
const SPLIT = 'prefill-remote-decode-remote';
const LONG = 'A prompt that is longer than a block of sixteen tokens.';
/** Keyless callers are peers, so that what they say of managers and legs counts. */
const KEYS = { BATON_SECURITY_ADMIN_KEYS: `ops:${ADMIN}`, BATON_SECURITY_KEYLESS: 'peer' };
const PATHS = { completions: '/v1/completions', chat: '/v1/chat/completions', generate: '/inference/v1/generate' };

interface Kind {
  readonly what: string;
  readonly api: keyof typeof PATHS;
  readonly body: Json;
  readonly headers?: Readonly<Record<string, string>>;
  /** The manager that answers; else the test would show only that both are wrong in the same way. */
  readonly answeredBy: string;
  /** The verdict on {@link SPLIT}, where it is asked or passed over. */
  readonly split?: string;
  readonly roles: readonly string[];
}

interface Leg {
  readonly role: string;
  readonly site?: string;
  readonly endpoint?: string;
  readonly stream: boolean;
  readonly body: Json;
}

interface Decision {
  readonly answeredBy: string;
  readonly managers: readonly { readonly manager: string; readonly verdict: string }[];
  readonly considered: readonly { leg: string; endpoints: readonly { name: string; excluded?: string }[] }[];
  readonly legs: readonly Leg[];
  readonly deadline: { readonly totalMs: number; readonly prefillMs: number | null };
}

const authorization = `Bearer ${ADMIN}`;

async function explained({ url }: InstanceProcess, kind: Kind, id: string): Promise<Decision & Json> {
  const headers = { ...kind.headers, 'x-request-id': id, 'x-request-timeout-ms': '20000' };
  const response = await fetch(`${url}/admin/explain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization },
    body: JSON.stringify({ api: kind.api, body: kind.body, headers, caller: 'peer' }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Decision & Json;
}

async function ran({ url }: InstanceProcess, kind: Kind, id: string): Promise<Decision & Json> {
  const response = await fetch(url + PATHS[kind.api], {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...kind.headers,
      'x-request-id': id,
      'x-request-timeout-ms': '20000',
    },
    body: JSON.stringify(kind.body),
  });
  const text = await response.text();
  expect([response.status, text]).toEqual([200, expect.any(String)]);
  await eventually('the record is whole', async () => (await recorded({ url }, id))['endReason'] === 'complete');
  return recorded({ url }, id);
}

async function recorded({ url }: Pick<InstanceProcess, 'url'>, id: string): Promise<Decision & Json> {
  const found = await fetch(`${url}/admin/requests/${id}`, { headers: { authorization } });
  return (await found.json()) as Decision & Json;
}

/** What of a leg is the same whatever the prefill answers: all but its handoff. */
function comparable({ role, stream, body }: Leg): Json {
  const handoff = role === 'decode' && 'kv_transfer_params' in body ? { kv_transfer_params: '<handoff>' } : {};
  const sampling = body['sampling_params'] as Json | undefined;
  const extra = role === 'decode' && sampling?.['extra_args'] ? { extra_args: '<handoff>' } : {};
  return {
    role,
    stream,
    body: { ...body, ...handoff, ...(sampling && { sampling_params: { ...sampling, ...extra } }) },
  };
}

const SAME = ['api', 'model', 'stream', 'isLeg', 'policyVersion', 'answeredBy', 'managers', 'plan', 'cancellation'];

/** Explains a request, runs it, and expects that both say the same. */
async function expectSame(instance: InstanceProcess, kind: Kind): Promise<{ said: Decision; done: Decision }> {
  const id = `kind-${kind.what.replace(/[^a-z0-9]+/gi, '-')}`;
  const said = await explained(instance, kind, id);
  const done = await ran(instance, kind, id);
  expect(said.answeredBy).toBe(kind.answeredBy);
  expect(said.managers.find(({ manager }) => manager === SPLIT)?.verdict).toBe(kind.split);
  expect(done.legs.map(({ role }) => role)).toEqual(kind.roles);
  for (const field of SAME) expect({ [field]: done[field] }).toEqual({ [field]: said[field] });
  expect(done.considered).toEqual(said.considered);
  expect(done.legs.map(comparable)).toEqual(said.legs.map(comparable));
  for (const [index, { endpoint }] of done.legs.entries()) {
    const site = said.legs[index]?.site;
    const allowed = said.considered.find(({ leg }) => leg === site)?.endpoints ?? [{ name: 'local' }];
    expect(allowed.filter(({ excluded }) => excluded === undefined).map(({ name }) => name)).toContain(endpoint);
  }
  const share = ({ deadline: { totalMs, prefillMs } }: Decision): number | null => prefillMs && prefillMs / totalMs;
  expect(Math.abs(done.deadline.totalMs - said.deadline.totalMs)).toBeLessThan(1_000);
  expect(Math.abs((share(done) ?? 0) - (share(said) ?? 0))).toBeLessThan(0.05);
  expect(JSON.stringify([said, done])).not.toContain(LONG);
  return { said, done };
}

const BOTH = ['prefill', 'decode'];
const USER = { 'x-user': 'in' };

describe('what is explained is what happens, before two simulated pools', () => {
  let coordinator: Coordinator;

  beforeAll(async () => {
    coordinator = await startCoordinator({
      prefills: 2,
      settings: {
        ...KEYS,
        BATON_COORDINATION_MANAGERS: JSON.stringify([
          {
            ...{ name: SPLIT, canaryPercent: 50, canaryHeader: 'x-user' },
            disaggregateWhen: { minPromptTokens: 5, maxChoices: 2 },
          },
        ]),
        BATON_COORDINATION_PREFILL_BREAKER_FAILURES: '1',
        BATON_COORDINATION_PREFILL_BREAKER_OPEN_MS: '600000',
      },
    });
    USER['x-user'] = await userWith('took');
  });
  afterAll(() => coordinator.stop());

  /** A user of whom that is said when it is asked whether its requests are in the share. */
  async function userWith(verdict: string): Promise<string> {
    for (let number = 0; number < 64; number += 1) {
      const headers = { 'x-user': `user-${number}` };
      const kind = { what: 'find', api: 'completions', body: { prompt: LONG }, headers } as const;
      const { managers } = await explained(coordinator.instance, { ...kind, answeredBy: '', roles: [] }, 'find');
      if (managers.find(({ manager }) => manager === SPLIT)?.verdict === verdict) return headers['x-user'];
    }
    throw new Error(`No user with ${verdict}.`);
  }

  const whole = { answeredBy: 'remote', roles: ['whole'] };
  const split = { answeredBy: SPLIT, split: 'took', roles: BOTH };
  const completions = { prompt: LONG, max_tokens: 5, temperature: 0 };
  const messages = [{ role: 'user', content: LONG }];
  const KINDS: readonly Kind[] = [
    { what: 'completions', api: 'completions', body: completions, ...split },
    { what: 'completions, streamed', api: 'completions', body: { ...completions, stream: true }, ...split },
    { what: 'chat', api: 'chat', body: { messages, max_tokens: 5 }, ...split },
    {
      ...{ what: 'chat, streamed, with usage', api: 'chat', ...split },
      body: { messages, max_completion_tokens: 5, stream: true, stream_options: { include_usage: true } },
    },
    {
      ...{ what: 'generate', api: 'generate', ...split },
      body: { token_ids: [...Buffer.from(LONG)], sampling_params: { max_tokens: 5, min_tokens: 2 } },
    },
    {
      ...{ what: 'a prompt as token ids', api: 'completions', ...split },
      body: { prompt: [...Buffer.from(LONG)], max_tokens: 5 },
    },
    { what: 'two choices', api: 'completions', body: { ...completions, n: 2 }, ...whole, split: 'declined' },
    {
      what: 'a condition does not hold',
      api: 'completions',
      body: { prompt: 'hi', max_tokens: 5 },
      ...whole,
      split: 'condition',
    },
    {
      ...{ what: 'a manager was chosen', api: 'completions', body: { prompt: 'hi', max_tokens: 5 }, ...split },
      headers: { 'x-baton-manager': SPLIT },
    },
    {
      ...{ what: 'another manager was chosen', api: 'completions', body: completions, ...whole },
      headers: { 'x-baton-manager': 'remote' },
    },
    {
      ...{ what: 'a leg for an instance without an engine', api: 'completions', body: completions, ...split },
      headers: { 'x-baton-leg': '1' },
    },
  ];

  it.each(KINDS)('$what', async (kind) => {
    await expectSame(coordinator.instance, { ...kind, headers: { ...USER, ...kind.headers } });
  });

  it('a request that is not in the share of its manager', async () => {
    const headers = { 'x-user': await userWith('canary') };
    const kind = { what: 'canary', api: 'completions', body: completions, headers } as const;
    await expectSame(coordinator.instance, { ...kind, ...whole, split: 'canary' });
  });

  it('a pool of which one endpoint is left alone', async () => {
    const gone = coordinator.prefills[1]!;
    await gone.stop();
    const kind = { what: 'a breaker is open', api: 'completions', body: completions, headers: USER, ...split } as const;
    const name = new URL(gone.url).host;
    const isLeftAlone = ({ considered }: Decision): boolean =>
      considered.some(({ endpoints }) =>
        endpoints.some((each) => each.name === name && each.excluded === 'breaker_open'),
      );
    // Whichever is picked first: the one that is gone is tried once, and then no more.
    await eventually('its breaker is open', async () => {
      await fetch(coordinator.instance.url + PATHS.completions, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...USER },
        body: JSON.stringify(completions),
      }).then((response) => response.text());
      return isLeftAlone(await explained(coordinator.instance, kind, 'look'));
    });
    const { done } = await expectSame(coordinator.instance, kind);
    expect(isLeftAlone(done)).toBe(true);
  });

  it('of a request whose client leaves, the record says when, and what became of the handoff', async () => {
    await coordinator.decode.misbehave([{ kind: 'slow', at: 'token', ms: 50 }]);
    const leaving = new AbortController();
    const response = await fetch(coordinator.instance.url + PATHS.completions, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': 'left', ...USER },
      body: JSON.stringify({ ...completions, max_tokens: 200, stream: true }),
      signal: leaving.signal,
    });
    await response.body!.getReader().read();
    leaving.abort();
    await eventually(
      'the record says so',
      async () => (await recorded(coordinator.instance, 'left'))['endReason'] !== null,
    );
    await coordinator.decode.misbehave([]);
    expect(await recorded(coordinator.instance, 'left')).toMatchObject({
      ...{ endReason: 'client_gone', leftDuring: 'decoding', settlements: [{ settlement: 'taken' }] },
      legs: [
        { role: 'prefill', outcome: 'complete' },
        { role: 'decode', outcome: 'left', firstPartMs: expect.any(Number), endedMs: expect.any(Number) },
      ],
    });
  });

  it('comes with the answer when a trusted caller asks for it', async () => {
    const send = async (stream: boolean): Promise<string> => {
      const headers = { 'content-type': 'application/json', 'x-baton-explain': '1', ...USER };
      const body = JSON.stringify({ ...completions, stream });
      return (await fetch(coordinator.instance.url + PATHS.completions, { method: 'POST', headers, body })).text();
    };
    const whole = JSON.parse(await send(false)) as { choices: unknown[]; baton_explain: Decision };
    expect(whole.choices).toHaveLength(1);
    expect(whole.baton_explain.legs.map(({ role }) => role)).toEqual(BOTH);
    const streamed = await send(true);
    const comment = /data: \[DONE\]\n\n: baton-explain (\{[^\n]*\})\n\n$/.exec(streamed)?.[1];
    expect((JSON.parse(comment!) as Decision).answeredBy).toBe(SPLIT);
  });
});

describe('what is explained is what happens, beside an engine', () => {
  const LOCAL = 'prefill-local-decode-remote';
  let instance: InstanceProcess;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    ({ instance, stop } = await startDeployment({ connector: 'nixl', manager: LOCAL, settings: KEYS }));
  });
  afterAll(() => stop());

  const body = { prompt: LONG, max_tokens: 5, stream: true };
  const KINDS: readonly Kind[] = [
    { what: 'a prefill here', api: 'completions', body, answeredBy: LOCAL, roles: BOTH },
    {
      ...{
        what: 'a chosen manager whose pool has no endpoints',
        api: 'completions',
        body,
        answeredBy: LOCAL,
        roles: BOTH,
      },
      headers: { 'x-baton-manager': 'decode-local-prefill-remote' },
    },
    {
      ...{ what: 'a leg of a peer', api: 'completions', headers: { 'x-baton-leg': '1' } },
      ...{ body: { ...body, stream: false, max_tokens: 1 }, answeredBy: 'local', split: 'declined', roles: ['whole'] },
    },
    {
      what: 'several choices here',
      api: 'completions',
      body: { ...body, n: 3 },
      answeredBy: 'local',
      split: 'declined',
      roles: ['whole'],
    },
  ];

  it.each(KINDS)('$what', async (kind) => {
    await expectSame(instance, kind);
  });
});
