import { isJsonObject, type JsonObject } from '@baton/inference';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { PoolEngine } from '@baton/engines';
import { pino } from 'pino';
import { createInstance } from '../bootstrap.js';
import { loadConfig } from '../config/load-config.js';

const KEY = 'k'.repeat(32);
const PROMPT = 'the owl sings at noon';
const CHAT = { messages: [{ role: 'user', content: PROMPT }] };

let app: NestFastifyApplication;
let document: JsonObject;

/** An answer, and what is wrong with it by the API's document. */
interface Said {
  readonly status: number;
  readonly body: JsonObject;
  readonly faults: readonly string[];
}

async function ask(method: 'GET' | 'POST', url: string, payload?: object): Promise<Said> {
  const headers = { authorization: `Bearer ${KEY}` };
  const answer = await app.inject({ method, url, headers, ...(payload !== undefined && { payload }) });
  const body = answer.json<JsonObject>();
  const path = (url.split('?')[0] ?? '').replace(/requests\/.*/, 'requests/{id}');
  const { responses } = at(document, 'paths', path, method.toLowerCase()) as { responses: object };
  const schema = at(responses, String(answer.statusCode), 'content', 'application/json', 'schema');
  return { status: answer.statusCode, body, faults: faultsOf(body, schema) };
}

function listed({ body }: Said): readonly JsonObject[] {
  const { requests } = body;
  return Array.isArray(requests) ? requests.filter(isJsonObject) : [];
}

function at(value: unknown, ...path: readonly string[]): JsonObject {
  const found = path.reduce<unknown>((inner, name) => (isJsonObject(inner) ? inner[name] : undefined), value);
  if (!isJsonObject(found)) throw new Error(`The document has nothing at ${path.join(' > ')}.`);
  return found;
}

/** Of the words of JSON Schema, those that the document has for these answers. A field that is not described is a fault. */
function faultsOf(value: unknown, schema: JsonObject, path = '$'): string[] {
  const { $ref, allOf, oneOf, anyOf, type, items, properties, required, additionalProperties } = schema;
  const words = schema['enum'];
  if (typeof $ref === 'string') return faultsOf(value, at(document, ...$ref.split('/').slice(1)), path);
  if (Array.isArray(allOf)) return allOf.flatMap((one) => faultsOf(value, at(one), path));
  const choices: unknown = oneOf ?? anyOf;
  if (Array.isArray(choices)) {
    const isOne = choices.some((one) => faultsOf(value, at(one), path).length === 0);
    return isOne ? [] : [`${path} is none of its forms`];
  }
  const faults = [type].flat().some((one) => isA(value, one)) ? [] : [`${path} is no ${String(type)}`];
  if (Array.isArray(words) && !words.includes(value)) faults.push(`${path} is a word that it does not know`);
  if (Array.isArray(value)) return [...faults, ...value.flatMap((item) => faultsOf(item, at(items), `${path}[]`))];
  if (!isJsonObject(value) || additionalProperties === true) return faults;
  const known = at(properties ?? {});
  const names = Array.isArray(required) ? required.filter((name) => typeof name === 'string') : [];
  for (const name of names) if (!(name in value)) faults.push(`${path}.${name} is not there`);
  for (const [name, inner] of Object.entries(value)) {
    faults.push(...(name in known ? faultsOf(inner, at(known, name), `${path}.${name}`) : [`${path}.${name} is new`]));
  }
  return faults;
}

function isA(value: unknown, type: unknown): boolean {
  if (value === null) return type === 'null';
  if (Array.isArray(value)) return type === 'array';
  return typeof value === type || (type === 'integer' && Number.isInteger(value));
}

async function start(settings: Readonly<Record<string, string>>): Promise<void> {
  const pools = {
    // Nobody listens there.
    BATON_COORDINATION_PREFILL_ENDPOINTS: 'http://127.0.0.1:1',
    BATON_COORDINATION_DECODE_ENDPOINTS: 'http://127.0.0.1:1,http://127.0.0.1:2',
  };
  const env = { BATON_SECURITY_ADMIN_KEYS: `ops:${KEY}`, BATON_PLUGIN_DIRECTORIES: '', ...pools, ...settings };
  const engine = new PoolEngine({ prefill: [], decode: [] });
  app = await createInstance(loadConfig({ env }), { engine, logger: pino({ level: 'silent' }) });
  await app.init();
  document = (await app.inject({ url: '/openapi.json', headers: { authorization: `Bearer ${KEY}` } })).json();
}

/** Asks for an answer that nobody is there to give. */
async function run(id: string): Promise<void> {
  const headers = { authorization: `Bearer ${KEY}`, 'x-request-id': id };
  const answer = await app.inject({ method: 'POST', url: '/v1/chat/completions', headers, payload: CHAT });
  expect(answer.statusCode).toBe(503);
}

describe('the decisions of an instance', () => {
  beforeAll(() => start({ BATON_COORDINATION_CONNECTOR: 'nixl' }));
  afterAll(() => app.close());

  it.each([
    ['chat', CHAT],
    ['completions', { prompt: PROMPT, stream: true }],
    ['generate', { token_ids: [1, 2, 3], sampling_params: { max_tokens: 4 } }],
  ])('are explained for a request of %s as the document says', async (api, body) => {
    const said = await ask('POST', '/admin/explain', { body, headers: { 'x-request-timeout-ms': '20000' } });
    expect([said.status, said.faults]).toEqual([200, []]);
    expect(said.body).toMatchObject({ api, refusal: null, plan: { kind: 'split', connector: 'nixl' } });
    expect(said.body['deadline']).toMatchObject({ totalMs: expect.any(Number) });
    expect(JSON.stringify(said.body)).not.toContain(PROMPT);
  });

  it('are explained for a request that would be refused', async () => {
    const headers = { 'x-baton-manager': 'nobody' };
    const said = await ask('POST', '/admin/explain', { body: CHAT, headers, caller: 'peer' });
    expect([said.status, said.faults]).toEqual([200, []]);
    expect(said.body).toMatchObject({ answeredBy: null, refusal: { status: 400 }, legs: [] });
    // The header of a client means nothing.
    const ofClient = await ask('POST', '/admin/explain', { body: CHAT, headers });
    expect(ofClient.body).toMatchObject({ refusal: null, plan: { kind: 'split' } });
  });

  it('are remembered, the newest first, as the document says', async () => {
    const ids = ['first', 'second', 'third'];
    for (const id of ids) await run(id);
    const all = await ask('GET', '/admin/requests');
    expect([all.status, all.faults, listed(all).map(({ id }) => id)]).toEqual([200, [], [...ids].reverse()]);
    expect(JSON.stringify(all.body)).not.toContain(PROMPT);

    const [, second] = listed(await ask('GET', '/admin/requests?limit=2'));
    expect(second?.['id']).toBe('second');
    const rest = await ask('GET', `/admin/requests?limit=65536&before=${String(second?.['key'])}`);
    expect(listed(rest).map(({ id }) => id)).toEqual(['first']);
    expect(listed(await ask('GET', '/admin/requests?before=forgotten'))).toEqual([]);

    for (const name of ['second', String(second?.['key'])]) {
      const one = await ask('GET', `/admin/requests/${name}`);
      expect([one.status, one.faults]).toEqual([200, []]);
      expect(one.body).toMatchObject({ id: 'second', caller: 'ops', plan: { kind: 'split' } });
      expect(one.body['endReason']).not.toBeNull();
    }
  });

  it.each([
    ...['0', '-1', '1.5', '01', '65537', '1e3', 'all', '', '%201', '1&limit=2'].map((text) => [
      `limit=${text}`,
      'limit',
    ]),
    ...['', 'a&before=b'].map((text) => [`before=${text}`, 'before']),
  ])('are not listed for ?%s', async (query, param) => {
    const said = await ask('GET', `/admin/requests?${query}`);
    expect([said.status, said.faults]).toEqual([400, []]);
    expect(said.body['error']).toMatchObject({ type: 'invalid_request_error', param });
  });

  it('are not known of a request that was not seen', async () => {
    const said = await ask('GET', '/admin/requests/never');
    expect([said.status, said.faults]).toEqual([404, []]);
    expect(said.body['error']).toMatchObject({ code: 'unknown_request', param: 'id' });
  });
});

describe('an instance without a connector, which decides nothing', () => {
  beforeAll(() => start({}));
  afterAll(() => app.close());

  it('explains that it runs a request itself', async () => {
    const said = await ask('POST', '/admin/explain', { body: CHAT });
    expect([said.status, said.faults]).toEqual([200, []]);
    expect(said.body).toMatchObject({ answeredBy: 'local', managers: [], plan: { kind: 'whole', site: 'local' } });
  });

  it('remembers no request', async () => {
    await run('first');
    expect(listed(await ask('GET', '/admin/requests'))).toEqual([]);
  });
});
