import { inferenceRequest, RawJson, type InferenceApi, type JsonObject } from '@baton/inference';
import { ConnectorMismatchError, parseEndpoint, RemoteClient, type Endpoint, type LegSite } from '@baton/remotes';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EMPTY, lastValueFrom } from 'rxjs';
import { serialPlan } from './cancellation.js';
import { LmCacheKvConnector } from './lmcache.connector.js';

const client = new RemoteClient();
afterAll(() => client.close());
const connector = new LmCacheKvConnector(client);
const RECEIVER = { receiver_host: '10.0.0.9', receiver_init_port: [7300], receiver_alloc_port: [7400] };
const AGREED: Record<InferenceApi, JsonObject> = {
  completions: { ...RECEIVER, prompt_token_ids: [5, 6] },
  chat: RECEIVER,
  generate: RECEIVER,
};
/** P's answers: its token is 7, `!`. */
const usage = { prompt_tokens: 2, completion_tokens: 1 };
const kv = { usage, kv_transfer_params: { first_tok: 7 } };
const ANSWER: Record<InferenceApi, JsonObject> = {
  completions: { ...kv, choices: [{ text: '!', logprobs: { tokens: ['!'] }, prompt_logprobs: [null] }] },
  chat: { ...kv, choices: [{ message: { role: 'assistant', content: '!' }, logprobs: { content: [{ token: '!' }] } }] },
  generate: { ...kv, choices: [{ token_ids: [7], logprobs: { content: [{ token_id: 7 }] } }], prompt_logprobs: [null] },
};

/** What a client sends. */
const CLIENT: Record<InferenceApi, JsonObject> = {
  completions: {
    model: 'm',
    prompt: 'x',
    max_tokens: 9,
    min_tokens: 2,
    logprobs: 1,
    prompt_logprobs: 1,
    own: { a: 1 },
  },
  chat: { messages: [{ role: 'user', content: 'x' }], max_completion_tokens: 9, logprobs: true, n: 1, own: [null] },
  generate: { token_ids: [1, 2], sampling_params: { max_tokens: 9, logprobs: 1, prompt_logprobs: 1, own: 2 }, own: 3 },
};
/** The same as a prefill leg, without the handoff. */
const PREFILL: Record<InferenceApi, JsonObject> = {
  completions: {
    model: 'm',
    prompt: 'x',
    max_tokens: 1,
    min_tokens: 1,
    logprobs: 1,
    prompt_logprobs: 1,
    own: { a: 1 },
    stream: false,
  },
  chat: {
    messages: [{ role: 'user', content: 'x' }],
    max_tokens: 1,
    max_completion_tokens: 1,
    logprobs: true,
    n: 1,
    own: [null],
    stream: false,
  },
  generate: {
    token_ids: [1, 2],
    sampling_params: { max_tokens: 1, logprobs: 1, prompt_logprobs: 1, own: 2 },
    own: 3,
    stream: false,
  },
};
/** The same as a decode leg, without the handoff and what a stream adds. */
const DECODE: Record<InferenceApi, JsonObject> = {
  completions: { model: 'm', prompt: 'x', max_tokens: 9, min_tokens: 2, logprobs: 1, own: { a: 1 } },
  chat: CLIENT.chat,
  generate: { token_ids: [1, 2], sampling_params: { max_tokens: 9, logprobs: 1, own: 2 }, own: 3 },
};
const STREAM = { stream: true, stream_options: { include_usage: true } };
const CASES = (['completions', 'chat', 'generate'] as const).flatMap((api) => [
  { api, more: {}, stream: false },
  { api, more: STREAM, stream: true },
]);

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A server that gives `answer` to everything; `asked` is what it was asked. */
async function serverOf(answer: unknown, status = 200): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      asked.push(`${request.method} ${request.url} ${body}`.trim());
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, asked };
}

function siteOf(endpoint: Endpoint | undefined): LegSite {
  return { endpoint, run: () => EMPTY };
}

it('waits for P, to which D is named first, and holds nothing', async () => {
  expect(connector.contract).toEqual({
    order: 'serial',
    decoder: 'first',
    prefillMayAnswer: true,
    cancellation: serialPlan({ prefilling: 'close', gap: 'nothing', transferring: 'close' }),
  });
  expect(await lastValueFrom(connector.release())).toBe('unknown');
});

describe.each(CASES)('the legs of $api, stream: $stream', ({ api, more, stream }) => {
  const request = inferenceRequest(api, { ...CLIENT[api], ...more });
  const ids = api === 'completions' ? { prompt: [5, 6] } : {};

  it("P is told D's receiver, and has its tokens and logprobs", () => {
    const leg = connector.prefillLeg(request, AGREED[api]);
    const params = { ret_first_tok: true, disagg_spec: { req_id: leg.id, ...RECEIVER } };
    const { sampling_params: sampling } = PREFILL[api];
    expect(leg.body).toEqual({
      ...PREFILL[api],
      ...ids,
      kv_transfer_params: params,
      ...(api === 'generate'
        ? { sampling_params: { ...(sampling as object), extra_args: { kv_transfer_params: params } } }
        : {}),
    });
    expect(leg).toMatchObject({ api, stream: false, isLeg: true });
  });

  it('D goes on after the first token, which the client gets from P', () => {
    const leg = connector.decodeLeg(request, connector.handoffOf(ANSWER[api], AGREED[api]));
    const continued = {
      completions: { prompt: [5, 6, 7], max_tokens: 8, min_tokens: 1 },
      chat: {
        messages: [
          { role: 'user', content: 'x' },
          { role: 'assistant', content: '!' },
        ],
        max_completion_tokens: 8,
        continue_final_message: true,
        add_generation_prompt: false,
      },
      generate: { token_ids: [1, 2, 7], sampling_params: { max_tokens: 8, logprobs: 1, own: 2 } },
    }[api];
    expect(leg.body).toEqual({ ...DECODE[api], ...more, ...continued });
    expect(leg).toMatchObject({ api, stream, isLeg: true });
    const lead = {
      completions: { text: '!', logprobs: { tokens: ['!'] } },
      chat: { text: '!', logprobs: { content: [{ token: '!' }] } },
      generate: { tokenIds: [7], logprobs: { content: [{ token_id: 7 }] } },
    }[api];
    expect(connector.shareOf(request, ANSWER[api])).toEqual({
      usage,
      ...(api === 'chat' ? {} : { promptLogprobs: [null] }),
      lead: { ...lead, completionTokens: 1 },
    });
  });

  it.each([
    { stop: ['x'] },
    { tools: [{}] },
    { response_format: { type: 'json_object' } },
    { frequency_penalty: 1 },
    { return_token_ids: true },
  ])('D makes the first token again with %j', (field) => {
    const careful = inferenceRequest(api, { ...CLIENT[api], ...field, ...more });
    const leg = connector.decodeLeg(careful, connector.handoffOf(ANSWER[api], AGREED[api]));
    expect(leg.body).toEqual({ ...DECODE[api], ...ids, ...field, ...more });
    expect(connector.shareOf(careful, ANSWER[api])).not.toHaveProperty('lead');
  });

  it('D without a handoff is a plain request', () => {
    expect(connector.handoffOf({ usage, kv_transfer_params: null }, AGREED[api])).toBeUndefined();
    expect(connector.decodeLeg(request, undefined).body).toEqual({ ...DECODE[api], ...more });
    const { kv_transfer_params: _, ...plain } = ANSWER[api];
    expect(connector.shareOf(request, plain)).not.toHaveProperty('lead');
  });
});

describe('the first token', () => {
  const chatAnswer = (content: unknown): JsonObject => ({ ...kv, choices: [{ message: { content } }] });

  it.each(['', null, '\ufffd'])('is made again when %j is all that P can say of it', (content) => {
    const request = inferenceRequest('chat', CLIENT.chat);
    const handoff = connector.handoffOf(chatAnswer(content), RECEIVER);
    expect(handoff).toBeDefined();
    expect(connector.decodeLeg(request, handoff).body).toEqual(CLIENT.chat);
    expect(connector.shareOf(request, chatAnswer(content))).toEqual({ usage });
  });

  it('is made again for the token endpoint that answers in text, and with an echo', () => {
    const generate = inferenceRequest('generate', { token_ids: [1], output_mode: 'text' });
    expect(connector.decodeLeg(generate, connector.handoffOf(ANSWER.generate, RECEIVER)).body).toEqual(generate.body);
    const echo = inferenceRequest('completions', { prompt: 'x', echo: true });
    const answer = { ...kv, choices: [{ text: 'x!' }] };
    const leg = connector.decodeLeg(echo, connector.handoffOf(answer, AGREED.completions));
    expect(leg.body).toEqual({ prompt: [5, 6] });
    expect(connector.shareOf(echo, answer)).toEqual({ usage, lead: { text: 'x', completionTokens: 0 } });
  });

  it.each<[unknown, unknown]>([
    ['So far', 'So far!'],
    [
      [{ type: 'text', text: 'So far' }],
      [
        { type: 'text', text: 'So far' },
        { type: 'text', text: '!' },
      ],
    ],
    [null, '!'],
  ])('goes on with the message that the client began with %j', (content, expected) => {
    const request = inferenceRequest('chat', {
      messages: [{ role: 'assistant', content, name: 'a' }],
      continue_final_message: true,
      add_generation_prompt: false,
    });
    const { messages } = connector.decodeLeg(request, connector.handoffOf(ANSWER.chat, RECEIVER)).body;
    expect(messages).toEqual([{ role: 'assistant', content: expected, name: 'a' }]);
  });

  it('goes to the end of a long prompt without reading it', () => {
    const ids = new RawJson(Buffer.from('[1, 2 ]'), 2);
    const request = inferenceRequest('generate', { token_ids: ids });
    const { token_ids: sent } = connector.decodeLeg(request, connector.handoffOf(ANSWER.generate, RECEIVER)).body;
    expect(sent).toBeInstanceOf(RawJson);
    expect((sent as RawJson).toArray()).toEqual([1, 2, 7]);
    expect((sent as RawJson).length).toBe(3);
    expect(ids.toArray()).toEqual([1, 2]);
  });

  it.each([
    [{}, { max_tokens: 15 }],
    [
      { max_tokens: 1, min_tokens: 0 },
      { max_tokens: 0, min_tokens: 0 },
    ],
    [{ max_tokens: null }, { max_tokens: null }],
  ])('leaves completions with %j the limits %j', (limits, left) => {
    const request = inferenceRequest('completions', { prompt: [[5, 6]], ...limits });
    const leg = connector.decodeLeg(request, connector.handoffOf(ANSWER.completions, RECEIVER));
    expect(leg.body).toEqual({ prompt: [5, 6, 7], ...left });
  });

  it('is not taken from the params of another connector', () => {
    const answer = { kv_transfer_params: { kv_connector: 'embedded', do_remote_prefill: true } };
    expect(() => connector.handoffOf(answer, RECEIVER)).toThrow(ConnectorMismatchError);
  });
});

describe('rendezvous', () => {
  const decode = siteOf(parseEndpoint('http://10.0.0.9:8000'));
  const agree = (api: InferenceApi, body: JsonObject, prefill: LegSite, d: LegSite = decode): Promise<JsonObject> =>
    lastValueFrom(connector.rendezvous(inferenceRequest(api, body), { prefill, decode: d }));
  const nobody = siteOf(undefined);

  it("is D's receiver, and P's tokens of a text prompt", async () => {
    const { port, asked } = await serverOf({ count: 2, tokens: [5, 6] });
    const prefill = siteOf(parseEndpoint(`http://127.0.0.1:${port}`));
    const body = { ...CLIENT.completions, add_special_tokens: false };
    expect(await agree('completions', body, prefill)).toEqual({ ...RECEIVER, prompt_token_ids: [5, 6] });
    await agree('completions', { prompt: ['x'] }, prefill);
    expect(asked).toEqual([
      'POST /tokenize {"prompt":"x","model":"m","add_special_tokens":false}',
      'POST /tokenize {"prompt":"x"}',
    ]);
  });

  it('asks P nothing when there is no text to read', async () => {
    expect(await agree('completions', { prompt: [5, 6] }, nobody)).toEqual(RECEIVER);
    expect(await agree('chat', CLIENT.chat, nobody)).toEqual(RECEIVER);
    expect(await agree('generate', CLIENT.generate, nobody)).toEqual(RECEIVER);
  });

  it.each([
    ['kv:1', [1], [101]],
    ['kv:1,2', [1], [2]],
    ['kv:1,2,11,12', [1, 2], [11, 12]],
  ])('reads %s as the ports of all ranks of D', async (kvAddress, init, alloc) => {
    const d = siteOf(parseEndpoint({ url: 'http://10.0.0.9:8000', kvAddress }));
    expect(await agree('chat', CLIENT.chat, nobody, d)).toEqual({
      receiver_host: 'kv',
      receiver_init_port: init,
      receiver_alloc_port: alloc,
    });
  });

  it('fails when P has no tokens to tell, or D no address', async () => {
    const { port } = await serverOf({ count: 2 });
    const prefill = siteOf(parseEndpoint(`http://127.0.0.1:${port}`));
    await expect(agree('completions', { prompt: 'x' }, prefill)).rejects.toMatchObject({ status: 502 });
    await expect(agree('completions', { prompt: 'x' }, nobody)).rejects.toMatchObject({ code: 'kv_address_required' });
    await expect(agree('chat', CLIENT.chat, nobody, nobody)).rejects.toMatchObject({ code: 'kv_address_required' });
  });
});
