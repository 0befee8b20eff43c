import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { nothingHeld, startCoordinatedPair, type CoordinatedPair } from './support/coordinated-pair.js';
import { eventually } from './support/eventually.js';
import { InstanceProcess } from './support/instance-process.js';
import { startPair, type Pair } from './support/pair.js';
import { idle } from './support/quiescence.js';
import { Recorder } from './support/recorder.js';
import { ask, FLOWS, type Flow } from './support/requests.js';

const PROMPT = 'Once upon a time there was a brave fox named Ivy.';
const GENERATE = FLOWS.find(({ api }) => api === 'generate')!;
const PATHS = [GENERATE.path, '/v1/inference/generate'];

type Json = Record<string, unknown>;

async function post(url: string, path: string, body: unknown): Promise<{ status: number; body: Json }> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Json };
}

const tokensOf = async (url: string): Promise<number[]> =>
  (await post(url, '/tokenize', { prompt: PROMPT })).body['tokens'] as number[];

/** Both paths give the same tokens as `alone` does, streamed and not. */
async function expectSameTokens(url: string, alone: string, model: Json = {}): Promise<void> {
  const body = { ...model, ...GENERATE.body(PROMPT, await tokensOf(alone), 9) };
  const expected = await ask(alone, GENERATE, body);
  expect(expected.said.split(' ')).toHaveLength(9);
  for (const path of PATHS) {
    for (const stream of [false, true]) {
      const answer = await ask(url, { ...GENERATE, path }, body, { stream });
      expect(answer).toMatchObject({ status: 200, said: expected.said, finishReason: 'length' });
    }
  }
}

/** Render, then the token endpoint, then derender, gives what the api in text gives at once. */
async function expectRoundTrip(url: string, api: 'chat' | 'completions', more: Json): Promise<void> {
  const flow = FLOWS.find((candidate) => candidate.api === api)!;
  const body = { ...more, ...flow.body(PROMPT, [], 12) };
  const direct = (await post(url, flow.path, body)).body;
  const rendered = await post(url, `${flow.path}/render`, body);
  expect(rendered.status).toBe(200);
  const [request] = (api === 'chat' ? [rendered.body] : rendered.body) as Json[];
  const generated = await post(url, GENERATE.path, request);
  expect(generated).toMatchObject({ status: 200 });
  const prompt = request!['token_ids'] as number[];
  const answer =
    api === 'chat'
      ? { generate_response: generated.body, prompt_tokens: prompt.length, prompt_token_ids: prompt }
      : { generate_responses: [generated.body], prompt_tokens: [prompt.length], prompt_token_ids: [prompt] };
  const derendered = await post(url, `${flow.path}/derender`, { model: direct['model'], ...answer });
  expect(derendered.status).toBe(200);
  expect(said(flow, derendered.body)).toBe(said(flow, direct));
  expect(said(flow, direct).length).toBeGreaterThan(10);
  expect(derendered.body['usage']).toMatchObject({
    prompt_tokens: (direct['usage'] as Json)['prompt_tokens'],
    completion_tokens: 12,
  });
}

const said = (flow: Flow, { choices }: Json): string => flow.said(choices as Json[]);

describe('the token endpoints before vLLM servers', () => {
  let pair: CoordinatedPair;
  let sidecar: InstanceProcess;

  beforeAll(async () => {
    pair = await startCoordinatedPair();
    sidecar = await InstanceProcess.start({
      BATON_ENGINE_KIND: 'http',
      BATON_ENGINE_DIALECT: 'vllm',
      BATON_ENGINE_URL: pair.prefill.url,
    });
  });
  afterAll(() => Promise.all([pair.stop(), sidecar.stop()]));

  it('generate through a sidecar and a coordinator', async () => {
    await expectSameTokens(sidecar.url, pair.decode.url, { model: 'sim' });
    await expectSameTokens(pair.coordinator.url, pair.decode.url, { model: 'sim' });
    await nothingHeld([pair.prefill, pair.decode]);
  });

  it.each(['chat', 'completions'] as const)('render and derender %s as the servers do', async (api) => {
    await expectRoundTrip(sidecar.url, api, { model: 'sim' });
    await expectRoundTrip(pair.coordinator.url, api, { model: 'sim' });

    const { path, body } = FLOWS.find((flow) => flow.api === api)!;
    // Fields of their own pass both ways.
    const request = { model: 'sim', request_id: 'mine', cache_salt: 'salt', ...body(PROMPT, [], 5) };
    const expected = (await post(pair.decode.url, `${path}/render`, request)).body;
    for (const { url } of [sidecar, pair.coordinator]) {
      expect((await post(url, `${path}/render`, request)).body).toEqual(expected);
    }
  });

  it('refuse what the servers refuse', async () => {
    for (const { url } of [sidecar, pair.coordinator]) {
      const body = { ...FLOWS[1]!.body(PROMPT, [], 5), model: 'other' };
      expect(await post(url, '/v1/chat/completions/render', body)).toMatchObject({ status: 404 });
      const derender = await post(url, '/v1/chat/completions/derender', { model: 'sim' });
      expect(derender).toMatchObject({ status: 400, body: { error: { param: 'generate_response' } } });
    }
  });
});

describe('render and derender before servers that have none', () => {
  it('are 501, and the server is not asked', async () => {
    const server = await Recorder.start();
    const settings = [
      ...['sglang', 'trtllm', 'llamacpp'].map((dialect) => ({
        BATON_ENGINE_KIND: 'http',
        BATON_ENGINE_URL: server.url,
        BATON_ENGINE_DIALECT: dialect,
      })),
      {
        BATON_ENGINE_KIND: 'none',
        BATON_COORDINATION_CONNECTOR: 'sglang',
        BATON_COORDINATION_PREFILL_ENDPOINTS: server.url,
        BATON_COORDINATION_PREFILL_DIALECT: 'sglang',
        BATON_COORDINATION_DECODE_ENDPOINTS: server.url,
        BATON_COORDINATION_DECODE_DIALECT: 'sglang',
      },
    ];
    const instances = await Promise.all(settings.map((each) => InstanceProcess.start(each)));
    try {
      for (const { url } of instances) {
        for (const { path, body } of FLOWS.slice(0, 2)) {
          const render = await post(url, `${path}/render`, { model: 'sim', ...body(PROMPT, [], 3) });
          expect(render).toMatchObject({ status: 501, body: { error: { code: 'not_supported' } } });
          const response = { request_id: 'r', choices: [{ index: 0, token_ids: [1], finish_reason: 'stop' }] };
          const derender = await post(url, `${path}/derender`, {
            model: 'sim',
            generate_response: response,
            generate_responses: [response],
          });
          expect(derender).toMatchObject({ status: 501, body: { error: { code: 'not_supported' } } });
        }
      }
      expect(server.requests).toEqual([]);
    } finally {
      await Promise.all([...instances.map((instance) => instance.stop()), server.close()]);
    }
  });
});

describe('the token endpoints of the embedded engine', () => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await startPair();
  });
  afterAll(() => pair.stop());

  it('generate alone and as a pair', async () => {
    await expectSameTokens(pair.decode.url, pair.decode.url);
    await expectSameTokens(pair.prefill.url, pair.decode.url);
  });

  it.each(['chat', 'completions'] as const)('render and derender %s to what it says at once', async (api) => {
    await expectRoundTrip(pair.decode.url, api, {});
    await expectRoundTrip(pair.prefill.url, api, {});
  });

  describe('abort', () => {
    /** Goes on for as long as the context has room. */
    const endless = (flow: Flow, ids: readonly number[]): Json => {
      const body = flow.body(PROMPT, ids, 400);
      const params = body['sampling_params'];
      return typeof params === 'object'
        ? { ...body, sampling_params: { ...params, ignore_eos: true } }
        : { ...body, ignore_eos: true };
    };
    const abort = async (url: string, path: string, id: string): Promise<void> => {
      const response = await fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ request_ids: [id, 'nobody'] }),
      });
      expect(response.status).toBe(200);
      expect(await response.text()).toBe('');
    };
    const events = (received: string): Json[] =>
      received
        .split('\n\n')
        .filter((event) => event.startsWith('data: {'))
        .map((event) => JSON.parse(event.slice(6)) as Json);

    const CASES = FLOWS.flatMap((flow, at) =>
      ['x-request-id', "the answer's id"].map((by) => ({
        flow,
        by,
        api: flow.api,
        path: at % 2 === 0 ? '/inference/v1/abort_requests' : '/abort_requests',
      })),
    );

    it.each(CASES)('$path ends a stream of $api by $by, on both sides', async ({ flow, by, path }) => {
      const { prefill, decode } = pair;
      const aborted = await prefill.metric('baton_stream_end_total', { reason: 'aborted' });
      const response = await fetch(prefill.url + flow.path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-request-id': 'the-clients-own' },
        body: JSON.stringify({ ...endless(flow, await tokensOf(prefill.url)), stream: true }),
      });
      expect(response.headers.get('x-baton-manager')).toBe('prefill-local-decode-remote');
      let received = '';
      let isAborted = false;
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        received += chunk;
        const [first] = events(received);
        if (first === undefined || isAborted) continue;
        isAborted = true;
        const own = String(first['id'] ?? first['request_id']);
        await abort(prefill.url, path, by === 'x-request-id' ? 'the-clients-own' : own);
      }
      await idle([prefill, decode]);
      const all = events(received);
      expect(all.at(-1)).toMatchObject({ error: { code: 'request_aborted', type: 'server_error' } });
      expect(all.length).toBeLessThan(300);
      expect(received.trimEnd().endsWith('data: [DONE]')).toBe(true);
      expect(await prefill.metric('baton_stream_end_total', { reason: 'aborted' })).toBe(aborted + 1);
    });

    it('ends an answer that is not streamed', async () => {
      const { prefill, decode } = pair;
      const [flow] = FLOWS;
      const answer = ask(prefill.url, flow!, endless(flow!, []), { headers: { 'x-request-id': 'whole' } });
      await eventually(
        'D decodes',
        async () => (await decode.metric('baton_engine_sequences', { state: 'busy' })) === 1,
      );
      await abort(prefill.url, '/inference/v1/abort_requests', 'whole');
      const { status, events: all } = await answer;
      expect(status).toBe(499);
      expect(all).toMatchObject([{ error: { code: 'request_aborted' } }]);
      await idle([prefill, decode]);
    });

    it('passes over ids that nobody has', async () => {
      await abort(pair.prefill.url, '/abort_requests', 'somebody-else');
      const { status, body } = await post(pair.prefill.url, '/abort_requests', { request_ids: 'one' });
      expect(status).toBe(400);
      expect(body).toMatchObject({ error: { param: 'request_ids' } });
    });
  });
});
