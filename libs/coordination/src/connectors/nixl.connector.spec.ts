import {
  inferenceRequest,
  isJsonObject,
  type InferenceApi,
  type InferenceRequest,
  type JsonObject,
} from '@baton/inference';
import { ConnectorMismatchError } from '@baton/remotes';
import { describe, expect, it, jest } from '@jest/globals';
import { EMPTY, lastValueFrom, Observable, throwError } from 'rxjs';
import { serialPlan } from './cancellation.js';
import { NixlKvConnector } from './nixl.connector.js';

const connector = new NixlKvConnector();
/** As vLLM answers it, and a field of tomorrow. */
const FROM_P = {
  do_remote_prefill: true,
  do_remote_decode: false,
  remote_engine_id: 'e-1',
  remote_request_id: 'cmpl-1-9c1d',
  remote_block_ids: [[4, 5]],
  remote_host: '10.0.0.7',
  remote_port: 5600,
  tp_size: 1,
  a_field_of_tomorrow: { nested: [1, null] },
};
const HANDOFF = { params: FROM_P };

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

it('waits for P, and has a D take the KV also of a client that has gone', () => {
  expect(connector.contract).toEqual({
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: false,
    leaseMs: 30_000,
    cancellation: serialPlan({ prefilling: 'await_answer', gap: 'decode_and_cancel', transferring: 'finish' }),
  });
});

describe.each(CASES)('the legs of $api, stream: $stream', ({ api, more, stream }) => {
  const request = inferenceRequest(api, { ...CLIENT[api], ...more });

  it('P is asked for a handoff', () => {
    const leg = connector.prefillLeg(request);
    const asked = {
      do_remote_decode: true,
      do_remote_prefill: false,
      remote_engine_id: null,
      remote_block_ids: null,
      remote_host: null,
      remote_port: null,
    };
    expect(leg.body).toEqual(handingOver(api, PREFILL[api], asked));
    expect(leg).toMatchObject({ api, stream: false, isLeg: true });
    expect(leg.id).toMatch(new RegExp(`^${request.key}-`));
  });

  it('D gets what P has said, verbatim', () => {
    const leg = connector.decodeLeg(request, HANDOFF);
    expect(leg.body).toEqual(handingOver(api, { ...DECODE[api], ...more }, FROM_P));
    expect(leg).toMatchObject({ api, stream, isLeg: true });
    expect(leg.id).not.toBe(connector.prefillLeg(request).id);
  });

  it('D without a handoff is a plain request', () => {
    expect(connector.decodeLeg(request, undefined).body).toEqual({ ...DECODE[api], ...more });
    expect(connector.decodeLeg(request, undefined).isLeg).toBe(true);
  });
});

describe('handoffOf', () => {
  it('keeps what P said, also what nobody here knows', () => {
    expect(connector.handoffOf({ kv_transfer_params: FROM_P })?.params).toBe(FROM_P);
  });

  it.each([
    {},
    { kv_transfer_params: null },
    { kv_transfer_params: {} },
    { kv_transfer_params: { ...FROM_P, do_remote_prefill: false } },
    { kv_transfer_params: { ...FROM_P, do_remote_prefill: 'true' } },
  ])('is none for %j', (answer) => {
    expect(connector.handoffOf(answer)).toBeUndefined();
  });

  it('refuses the handoff of another connector, and takes one that names its own', () => {
    const named = (kv_connector: string): JsonObject => ({ kv_transfer_params: { ...FROM_P, kv_connector } });
    expect(() => connector.handoffOf(named('embedded'))).toThrow(ConnectorMismatchError);
    expect(() => connector.handoffOf(named('embedded'))).toThrow(/connector embedded, .* connector is nixl/);
    expect(connector.handoffOf(named('nixl'))?.params).toEqual({ ...FROM_P, kv_connector: 'nixl' });
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
