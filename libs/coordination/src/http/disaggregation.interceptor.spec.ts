import {
  ANONYMOUS,
  inferenceRequest,
  invalidRequest,
  jsonPart,
  type Caller,
  type InferenceRequest,
} from '@baton/inference';
import { describe, expect, it, jest } from '@jest/globals';
import { StreamableFile } from '@nestjs/common';
import { Readable } from 'node:stream';
import { catchError, forkJoin, map, mergeMap, of } from 'rxjs';
import { InferenceAnswer } from './inference-answer.js';
import { run, script, type Running } from './story-application.spec-support.js';
import { DONE, event, parsed, post, STORY, STREAM } from './story-client.spec-support.js';

const PEER: Caller = { trust: 'peer', label: 'gateway' };

describe('when coordination is off', () => {
  const off = (): Promise<Running> => run({});

  it('the handler runs untouched, and so does its answer', async () => {
    const running = await off();
    script.plan = () => of(jsonPart({ by: 'manager' }));
    script.handler = (_leg, body) => ({ body });
    const answer = await post(running, { prompt: 'x', odd: 1 }, { headers: { 'x-request-id': 'client-7' } });
    expect(answer.status).toBe(200);
    expect(parsed(answer)).toEqual({ body: { prompt: 'x', odd: 1, isMarked: true } });
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-'))).toEqual([]);
  });

  it('what is a valid body is for the pipes of the application to say', async () => {
    const running = await off();
    script.handler = (_leg, body) => ({ body });
    const answer = await post(running, { prompt: 'x', max_tokens: 0 });
    expect(answer.status).toBe(200);
  });

  it('nothing is checked against the context, and nothing counts as in flight', async () => {
    const running = await off();
    script.check = () => {
      throw invalidRequest('Too long.', 'prompt');
    };
    script.handler = () => ({ inFlight: running.inFlight.count });
    expect(parsed(await post(running, STORY))).toEqual({ inFlight: 0 });
  });

  it('a handler may still return an answer that streams', async () => {
    const running = await off();
    script.handler = (leg) => new InferenceAnswer(of(event(1), DONE), leg);
    const answer = await post(running, STREAM);
    expect(answer.headers['content-type']).toMatch('text/event-stream');
    expect(answer.text).toBe('data: {"n":1}\n\ndata: [DONE]\n\n');
    expect(script.ends).toEqual(['complete']);
  });
});

it('when coordination is on a body is validated before anything runs', async () => {
  const running = await run();
  const asked = jest.fn(() => undefined);
  script.plan = asked;
  script.handler = asked;
  const answer = await post(running, { prompt: 'x', max_tokens: 0 });
  expect(answer.status).toBe(400);
  expect(parsed(answer)).toMatchObject({ error: { type: 'invalid_request_error', param: 'max_tokens', code: null } });
  expect((await post(running, { max_tokens: 5 })).text).toContain('"param":"prompt"');
  expect((await post(running, undefined)).status).toBe(400);
  expect((await post(running, [STORY])).status).toBe(400);
  expect((await post(running, undefined, { raw: '{"prompt":' })).status).toBe(400);
  expect(asked).not.toHaveBeenCalled();
});

describe.each([
  ['off', {}],
  ['on', { connector: 'embedded' }],
])('when coordination is %s', (_state, options) => {
  it('routes without a body, and handlers that take whatever comes, run as they are', async () => {
    const running = await run(options);
    const models = await post(running, undefined, { path: '/models', method: 'GET' });
    expect(models.status).toBe(200);
    expect(parsed(models)).toEqual({ data: [] });
    expect(parsed(await post(running, [1, 2], { path: '/untyped' }))).toEqual({ got: [1, 2] });
    expect(parsed(await post(running, { prompt: 'x' }, { path: '/field' }))).toEqual({ got: 'x' });
  });

  it('a handler that needs a leg refuses a body that cannot be one', async () => {
    const running = await run(options);
    expect(parsed(await post(running, { messages: [] }, { path: '/leg' }))).toEqual({ api: 'chat' });
    const answer = await post(running, [1], { path: '/leg' });
    expect(answer.status).toBe(400);
    expect(parsed(answer)).toMatchObject({ error: { type: 'invalid_request_error', param: null } });
  });

  it('guards run first', async () => {
    const running = await run(options);
    script.isAllowed = false;
    const asked = jest.fn(() => undefined);
    script.plan = asked;
    script.handler = asked;
    expect((await post(running, STORY)).status).toBe(403);
    expect((await post(running, { max_tokens: 0 })).status).toBe(403);
    expect(asked).not.toHaveBeenCalled();
  });
});

describe('the lifecycle of a request', () => {
  it('before-local declines: the handler runs with the body of the client', async () => {
    const running = await run();
    const answer = await post(running, { prompt: 'x', odd: 1 });
    expect(parsed(answer)).toEqual({ leg: { prompt: 'x', odd: 1 } });
    expect(answer.headers['x-baton-manager']).toBe('local');
  });

  it('before-local wins: the handler does not run', async () => {
    const running = await run();
    script.handler = jest.fn();
    script.plan = () => of(jsonPart({ by: 'manager' }));
    const answer = await post(running, STORY, { headers: { 'x-request-id': 'client-7' } });
    expect(answer.status).toBe(200);
    expect(parsed(answer)).toEqual({ by: 'manager' });
    expect(answer.headers).toMatchObject({
      'x-baton-manager': 'scripted',
      'x-request-id': 'client-7',
      'content-type': 'application/json; charset=utf-8',
    });
    expect(script.handler).not.toHaveBeenCalled();
    expect(script.ends).toEqual(['complete']);
  });

  it('after-local wins: the handler runs the leg, and the manager answers', async () => {
    const running = await run();
    const ran: unknown[] = [];
    script.handler = (leg, body) => {
      ran.push({ id: leg.id, leg: leg.body, body });
      return { kv: 1 };
    };
    script.plan = (request, local) =>
      local({ ...request, id: 'leg-1', body: { prompt: 'edited' } }).pipe(
        map((part) => jsonPart({ after: part.kind === 'json' ? part.body : 'bytes' })),
      );
    const answer = await post(running, { prompt: 'x', max_tokens: 9 });
    expect(parsed(answer)).toEqual({ after: { kv: 1 } });
    expect(ran).toEqual([{ id: 'leg-1', leg: { prompt: 'edited' }, body: { prompt: 'edited', isMarked: true } }]);
    expect(answer.headers['x-request-id']).not.toBe('leg-1');
  });

  it('two local legs, one after the other, each run with a body of their own', async () => {
    const running = await run();
    script.handler = (_leg, body) => body;
    script.plan = (request, local) =>
      local({ ...request, body: { prompt: 'first' } }).pipe(
        mergeMap((first) =>
          local({ ...request, body: { prompt: 'second' } }).pipe(map((second) => jsonPart({ first, second }))),
        ),
      );
    expect(parsed(await post(running, STORY))).toEqual({
      first: jsonPart({ prompt: 'first', isMarked: true }),
      second: jsonPart({ prompt: 'second', isMarked: true }),
    });
  });

  it('two local legs at the same time are an error: Nest would run both with the body of the second', async () => {
    const running = await run();
    const ran: unknown[] = [];
    script.handler = (_leg, body) => {
      ran.push(body);
      return body;
    };
    script.plan = (request, local) =>
      forkJoin([
        local({ ...request, body: { prompt: 'first' } }),
        local({ ...request, body: { prompt: 'second' } }).pipe(
          catchError(({ message }: Error) => of(jsonPart({ message }))),
        ),
      ]).pipe(map((both) => jsonPart({ both })));
    expect(parsed(await post(running, STORY))).toEqual({
      both: [
        jsonPart({ prompt: 'first', isMarked: true }),
        jsonPart({ message: expect.stringContaining('one after the other') }),
      ],
    });
    expect(ran).toEqual([{ prompt: 'first', isMarked: true }]);
  });

  it('a manager sees the request in neutral form, with tracing headers and nothing secret', async () => {
    const running = await run();
    const seen: InferenceRequest[] = [];
    script.plan = (request) => {
      seen.push(request);
      return of(jsonPart({}));
    };
    await post(
      running,
      { prompt: 'x', odd: { a: 1 } },
      { headers: { traceparent: 'tp', authorization: 'Bearer k', cookie: 'c=1', 'proxy-authorization': 'Basic k' } },
    );
    script.caller = PEER;
    await post(running, STORY, { headers: { 'x-baton-leg': '1', 'x-request-id': 'not safe to repeat' } });
    expect(seen[0]).toMatchObject({
      api: 'completions',
      body: { prompt: 'x', odd: { a: 1 } },
      headers: { traceparent: 'tp' },
      isLeg: false,
    });
    expect(Object.keys(seen[0]?.headers ?? {})).toEqual(['traceparent']);
    expect(seen[0]?.clientHeaders).toMatchObject({ traceparent: 'tp', 'content-type': 'application/json' });
    expect(Object.keys(seen[0]?.clientHeaders ?? {})).not.toContain('authorization');
    expect(Object.keys(seen[0]?.clientHeaders ?? {})).not.toContain('cookie');
    expect(seen[1]?.isLeg).toBe(true);
    expect(seen[1]?.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is refused by the check of the application before any manager is asked; a leg is not checked', async () => {
    const running = await run();
    const asked = jest.fn(() => undefined);
    script.plan = asked;
    script.check = async () => {
      throw invalidRequest('The prompt is too long.', 'prompt', 'context_length_exceeded');
    };
    const answer = await post(running, STORY);
    expect(answer.status).toBe(400);
    expect(parsed(answer)).toMatchObject({ error: { param: 'prompt', code: 'context_length_exceeded' } });
    expect(asked).not.toHaveBeenCalled();
    script.caller = PEER;
    expect((await post(running, STORY, { headers: { 'x-baton-leg': '1' } })).status).toBe(200);
  });

  it.each<[string, () => unknown, string]>([
    ['an object', () => ({ id: 'x' }), '{"id":"x"}'],
    ['text', () => '{"id":"x"}', '{"id":"x"}'],
    ['a promise', () => Promise.resolve({ id: 'x' }), '{"id":"x"}'],
    ['an Observable', () => of({ id: 'x' }), '{"id":"x"}'],
    ['a stream', () => Readable.from([Buffer.from('{"id":'), Buffer.from('"x"}')]), '{"id":"x"}'],
    ['a file', () => new StreamableFile(Buffer.from('{"id":"x"}')), '{"id":"x"}'],
    ['an answer', () => new InferenceAnswer(of(jsonPart({ id: 'x' })), inferenceRequest('chat', {})), '{"id":"x"}'],
    [
      'an async generator',
      async function* () {
        yield '{"id":';
        yield '"x"}';
      },
      '{"id":"x"}',
    ],
  ])('local execution takes %s from the handler', async (_what, result, text) => {
    const running = await run();
    script.handler = result;
    script.plan = (request, local) => local(request);
    const answer = await post(running, STORY);
    expect(answer.text).toBe(text);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  });
});

describe('the manager that a load balancer chooses', () => {
  const CHOICE = { headers: { 'x-baton-manager': 'scripted' } };
  /** Settings under which the manager is not asked otherwise. */
  const managers = [{ name: 'scripted', disaggregateWhen: { minPromptTokens: 1_000 } }];
  const NONE = { headers: { 'x-baton-manager': 'best' } };

  it('takes the request, when the balancer is trusted', async () => {
    const running = await run({ connector: 'embedded', managers });
    script.caller = PEER;
    script.plan = () => of(jsonPart({ by: 'manager' }));
    expect((await post(running, STORY)).headers['x-baton-manager']).toBe('local');
    const answer = await post(running, STORY, CHOICE);
    expect(parsed(answer)).toEqual({ by: 'manager' });
    expect(answer.headers['x-baton-manager']).toBe('scripted');
  });

  it('is refused when there is none of that name, before the request is checked', async () => {
    const running = await run({ connector: 'embedded', managers });
    script.caller = PEER;
    const asked = jest.fn(() => undefined);
    script.plan = asked;
    script.check = asked;
    const answer = await post(running, STORY, NONE);
    expect(answer.status).toBe(400);
    expect(parsed(answer)).toMatchObject({ error: { type: 'invalid_request_error', code: 'unknown_manager' } });
    expect(answer.text).toContain('scripted');
    expect(asked).not.toHaveBeenCalled();
  });

  it('is not asked for when a client sends the header, and when coordination is off', async () => {
    for (const [options, caller] of [
      [{ connector: 'embedded', managers }, ANONYMOUS],
      [{}, PEER],
    ] as const) {
      const running = await run(options);
      script.caller = caller;
      script.plan = () => of(jsonPart({ by: 'manager' }));
      for (const call of [CHOICE, NONE]) expect((await post(running, STORY, call)).status).toBe(200);
      expect(parsed(await post(running, STORY, CHOICE))).toEqual({ leg: STORY });
    }
  });
});

describe('what a client says of a handoff', () => {
  const FORGED = {
    prompt: 'x',
    kv_transfer_params: { do_remote_prefill: 1, remote_host: '10.0.0.9' },
    ec_transfer_params: {},
    bootstrap_host: '10.0.0.9',
    sampling_params: { extra_args: { kv_transfer_params: { remote_host: '10.0.0.9' }, own: 1 } },
  };
  const CLEAN = { prompt: 'x', sampling_params: { extra_args: { own: 1 } } };

  it('reaches no manager, no check and no handler', async () => {
    const running = await run();
    const seen: unknown[] = [];
    script.check = ({ body }) => void seen.push(body);
    script.plan = ({ body }) => void seen.push(body);
    script.handler = (leg, body) => ({ leg: leg.body, body });
    const answer = await post(running, FORGED);
    expect(seen).toEqual([CLEAN, CLEAN]);
    expect(parsed(answer)).toEqual({ leg: CLEAN, body: { ...CLEAN, isMarked: true } });
    script.plan = (request, local) => local(request);
    expect(parsed(await post(running, FORGED))).toEqual({ leg: CLEAN, body: { ...CLEAN, isMarked: true } });
  });

  it('makes no leg of a request where none is run', async () => {
    const running = await run({ connector: 'embedded', local: { isAvailable: false } });
    script.caller = PEER;
    const seen: unknown[] = [];
    script.plan = ({ body, isLeg }) => {
      seen.push({ body, isLeg });
      return of(jsonPart({}));
    };
    const marks: Record<string, string>[] = [{}, { 'x-baton-leg': '1' }];
    for (const headers of marks) await post(running, { ...FORGED, bootstrap_room: 7 }, { headers });
    expect(seen).toEqual([
      { body: CLEAN, isLeg: false },
      { body: CLEAN, isLeg: false },
    ]);
  });

  const LEGS: [object, Record<string, string>][] = [
    [FORGED, { 'x-baton-leg': '1' }],
    [{ ...FORGED, bootstrap_room: 7 }, {}],
    [{ ...FORGED, disaggregated_params: { ctx_info_endpoint: ['10.0.0.9:80'] } }, {}],
    [
      {
        prompt: 'x',
        kv_transfer_params: {},
        sampling_params: { extra_args: { kv_transfer_params: { do_remote_decode: true }, own: 1 } },
      },
      {},
    ],
  ];
  const kvPeers = ['10.0.0.9:*'];

  it('stays in the leg of a trusted caller, whichever way it is one, and when coordination is off', async () => {
    const running = await run({ connector: 'embedded', kvPeers });
    script.caller = PEER;
    script.handler = (leg, body) => ({ leg: leg.body, body });
    for (const [body, headers] of LEGS) {
      expect(parsed(await post(running, body, { headers }))).toEqual({ leg: body, body: { ...body, isMarked: true } });
    }
    const off = await run({ kvPeers });
    script.caller = PEER;
    script.handler = (leg, body) => ({ leg: leg.body, body });
    expect(parsed(await post(off, FORGED))).toEqual({ leg: FORGED, body: { ...FORGED, isMarked: true } });
  });

  it.each([
    ['on', { connector: 'embedded' }],
    ['off', {}],
  ])('makes no leg of what a client sends, when coordination is %s', async (_state, options) => {
    const running = await run({ ...options, kvPeers });
    script.handler = (leg, body) => ({ leg: leg.body, body, isLeg: leg.isLeg, headers: leg.headers });
    for (const [body, headers] of LEGS) {
      const answer = await post(running, body, { headers: { ...headers, 'x-data-parallel-rank': '3' } });
      expect(parsed(answer)).toEqual({ leg: CLEAN, body: { ...CLEAN, isMarked: true }, isLeg: false, headers: {} });
    }
  });

  it.each([
    ['on', { connector: 'embedded' }],
    ['off', {}],
  ])('is refused in a leg that names an address nobody listed, when coordination is %s', async (_state, options) => {
    const running = await run({ ...options, kvPeers: ['10.0.0.9:80'] });
    script.caller = PEER;
    script.handler = jest.fn();
    const answer = await post(running, FORGED, { headers: { 'x-baton-leg': '1' } });
    expect(answer.status).toBe(403);
    expect(parsed(answer)).toMatchObject({ error: { code: 'address_not_allowed', type: 'permission_error' } });
    expect(answer.text).not.toContain('10.0.0.9');
    expect(script.handler).not.toHaveBeenCalled();
  });

  it('is left to the handler that checks addresses itself', async () => {
    const running = await run({ connector: 'embedded', local: { checksAddresses: true } });
    script.caller = PEER;
    expect((await post(running, FORGED, { headers: { 'x-baton-leg': '1' } })).status).toBe(200);
  });
});

describe.each([
  ['off', {}],
  ['on', { connector: 'embedded' }],
])('the headers of a trusted caller, when coordination is %s,', (_state, options) => {
  it.each([
    ['the rank of a leg goes on', { 'x-baton-leg': '1', 'x-data-parallel-rank': '3' }, { 'x-data-parallel-rank': '3' }],
    ['the rank has to be digits', { 'x-baton-leg': '1', 'x-data-parallel-rank': '3, 4' }, {}],
    ['the rank of what is no leg does not go on', { 'x-data-parallel-rank': '3' }, {}],
  ])('%s', async (_what, headers, forwarded) => {
    const running = await run(options);
    script.caller = PEER;
    script.handler = (leg) => leg.headers;
    expect(parsed(await post(running, STORY, { headers }))).toEqual(forwarded);
  });

  it('a request that comes around again and again is refused', async () => {
    const running = await run(options);
    script.handler = (leg) => ({ hops: leg.hops });
    const sent = (hops: string): ReturnType<typeof post> => post(running, STORY, { headers: { 'x-baton-hops': hops } });
    expect(parsed(await sent('4'))).toEqual({ hops: 4 });
    const refused = await sent('5');
    expect(refused.status).toBe(508);
    expect(parsed(refused)).toMatchObject({ error: { code: 'loop_detected' } });
  });
});
