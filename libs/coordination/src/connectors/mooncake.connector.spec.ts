import {
  inferenceRequest,
  isJsonObject,
  type InferenceApi,
  type InferenceRequest,
  type JsonObject,
} from '@baton/inference';
import { parseEndpoint, RemoteClient, type Endpoint, type LegSite } from '@baton/remotes';
import { afterAll, afterEach, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EMPTY, lastValueFrom, Observable, throwError } from 'rxjs';
import { concurrentPlan } from './cancellation.js';
import { MooncakeKvConnector } from './mooncake.connector.js';

const client = new RemoteClient();
afterAll(() => client.close());
const connector = new MooncakeKvConnector(client);
const AGREED = { transfer_id: 't-1', remote_bootstrap_addr: 'http://10.0.0.7:8998', remote_engine_id: 'e-0' };
const HANDOFF = { params: { do_remote_decode: false, do_remote_prefill: true, ...AGREED } };

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
  completions: { model: 'm', prompt: 'x', max_tokens: 1, prompt_logprobs: 1, own: { a: 1 }, stream: false },
  chat: {
    messages: [{ role: 'user', content: 'x' }],
    max_tokens: 1,
    max_completion_tokens: 1,
    n: 1,
    own: [null],
    stream: false,
  },
  generate: {
    token_ids: [1, 2],
    sampling_params: { max_tokens: 1, prompt_logprobs: 1, own: 2 },
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

/** `body` with the handoff where vLLM looks for it. */
function handingOver(api: InferenceApi, body: JsonObject, params: JsonObject): JsonObject {
  const sampling = body['sampling_params'];
  const nested = isJsonObject(sampling) ? { ...sampling, extra_args: { kv_transfer_params: params } } : undefined;
  return { ...body, kv_transfer_params: params, ...(api === 'generate' ? { sampling_params: nested } : {}) };
}

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

it('sends both legs at once, and finishes a transfer under way', () => {
  expect(connector.contract).toEqual({
    order: 'concurrent',
    decoder: 'first',
    prefillMayAnswer: false,
    leaseMs: 480_000,
    cancellation: concurrentPlan({ gap: 'decode_and_cancel' }),
  });
});

describe.each(CASES)('the legs of $api, stream: $stream', ({ api, more, stream }) => {
  const request = inferenceRequest(api, { ...CLIENT[api], ...more, stop: ['x'], stop_token_ids: [3] });

  it('P is told of the transfer, and ends for no reason but its limit', () => {
    const leg = connector.prefillLeg(request, AGREED);
    const params = { do_remote_decode: true, do_remote_prefill: false, transfer_id: 't-1' };
    const { sampling_params: sampling } = PREFILL[api];
    const endless = isJsonObject(sampling)
      ? { sampling_params: { ...sampling, ignore_eos: true }, stop: ['x'], stop_token_ids: [3] }
      : { ignore_eos: true };
    expect(leg.body).toEqual(handingOver(api, { ...PREFILL[api], ...endless }, params));
    expect(leg).toMatchObject({ api, stream: false, isLeg: true });
    expect(leg.headers).toEqual({});
  });

  it('D is told where and for what, and keeps its stops', () => {
    const handoff = connector.handoffOf(undefined, AGREED);
    expect(handoff).toEqual(HANDOFF);
    const leg = connector.decodeLeg(request, handoff);
    const stops = { stop: ['x'], stop_token_ids: [3] };
    expect(leg.body).toEqual(handingOver(api, { ...DECODE[api], ...more, ...stops }, HANDOFF.params));
    expect(leg).toMatchObject({ api, stream, isLeg: true });
  });
});

it('takes the stops of the token endpoint out of where they are', () => {
  const sampling_params = { stop: ['x'], stop_token_ids: [3], ignore_eos: false };
  const leg = connector.prefillLeg(inferenceRequest('generate', { token_ids: [1], sampling_params }), AGREED);
  const { extra_args: _, ...edited } = leg.body['sampling_params'] as Record<string, unknown>;
  expect(edited).toEqual({ max_tokens: 1, ignore_eos: true });
});

it('sends P to the rank that was agreed on, beside its other headers', () => {
  const request = inferenceRequest('chat', CLIENT.chat, { headers: { traceparent: 't' } });
  expect(connector.prefillLeg(request, { ...AGREED, rank: '3' }).headers).toEqual({
    traceparent: 't',
    'x-data-parallel-rank': '3',
  });
  expect(connector.handoffOf(undefined, { ...AGREED, rank: '3' })).toEqual(HANDOFF);
});

describe('rendezvous', () => {
  const request = inferenceRequest('chat', CLIENT.chat);
  const prefillAt = (port: number, kvPort?: number): LegSite =>
    siteOf(
      parseEndpoint({
        url: `http://127.0.0.1:${port}`,
        ...(kvPort === undefined ? {} : { kvAddress: `127.0.0.1:${kvPort}` }),
      }),
    );
  const agree = (prefill: LegSite): Promise<JsonObject> =>
    lastValueFrom(connector.rendezvous(request, { prefill, decode: undefined }));

  it("asks P's bootstrap server, each time for a fresh transfer", async () => {
    const { port, asked } = await serverOf({ 0: { engine_id: 'e-0', worker_addr: {} } });
    const first = await agree(prefillAt(1, port));
    const second = await agree(prefillAt(1, port));
    expect(asked).toEqual(['GET /query', 'GET /query']);
    expect(first).toEqual({
      transfer_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      remote_bootstrap_addr: `http://127.0.0.1:${port}`,
      remote_engine_id: 'e-0',
    });
    expect(second['transfer_id']).not.toBe(first['transfer_id']);
  });

  it('chooses one of several ranks, and says which', async () => {
    const { port } = await serverOf({ 0: { engine_id: 'e-0' }, 1: { engine_id: 'e-1' }, 2: {} });
    const agreed = await agree(prefillAt(1, port));
    expect(['0', '1']).toContain(agreed['rank']);
    expect(agreed['remote_engine_id']).toBe(`e-${String(agreed['rank'])}`);
  });

  it('fails when P names no engine', async () => {
    const { port } = await serverOf({});
    await expect(agree(prefillAt(1, port))).rejects.toMatchObject({ status: 502, code: 'bad_upstream_answer' });
  });

  it('fails as the prefill instance does when its bootstrap server is not there: at the default port too', async () => {
    const { port } = await serverOf({});
    servers.splice(0).forEach((server) => server.close());
    await expect(agree(prefillAt(8000, port))).rejects.toMatchObject({
      reason: 'connect',
      endpoint: '127.0.0.1:8000',
    });
  });

  it('needs an address when P is in this process', async () => {
    await expect(agree(siteOf(undefined))).rejects.toMatchObject({ status: 500, code: 'kv_address_required' });
  });
});

describe('release', () => {
  const client = inferenceRequest('chat', { ...CLIENT.chat, ...STREAM });

  it('sends D for one token, whole, past the valve of the client that has gone, and leaves', async () => {
    client.valve.close();
    const sent: InferenceRequest[] = [];
    const left = jest.fn();
    const release = connector.release(HANDOFF, {
      request: client,
      decode: (leg) =>
        new Observable((subscriber) => {
          sent.push(leg);
          subscriber.next('a part');
          return left;
        }),
    });
    expect(sent).toEqual([]); // cold
    expect(await lastValueFrom(release)).toBe('freed');
    expect(left).toHaveBeenCalledTimes(1);
    const [leg] = sent;
    expect(leg?.body).toEqual({ ...PREFILL.chat, kv_transfer_params: HANDOFF.params });
    expect(leg).toMatchObject({ stream: false, isLeg: true });
    expect(leg?.valve.isOpen).toBe(true);
  });

  it.each([
    ['fails', throwError(() => new Error('no D'))],
    ['says nothing', EMPTY],
  ])('is unknown when D %s', async (_what, answer) => {
    const release = connector.release(HANDOFF, { request: client, decode: () => answer });
    expect(await lastValueFrom(release)).toBe('unknown');
  });
});
