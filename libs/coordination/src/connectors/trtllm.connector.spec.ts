import { inferenceRequest, type InferenceApi, type InferenceRequest, type JsonObject } from '@baton/inference';
import { describe, expect, it, jest } from '@jest/globals';
import { EMPTY, lastValueFrom, Observable, throwError } from 'rxjs';
import { serialPlan } from './cancellation.js';
import { TrtllmKvConnector } from './trtllm.connector.js';

const connector = new TrtllmKvConnector();
/** As P says it: 63 bits and an opaque state survive. */
const FROM_P = {
  request_type: 'context_only',
  first_gen_tokens: [29871],
  ctx_request_id: 9007199254740993n,
  disagg_request_id: 4611686018427387905n,
  encoded_opaque_state: 'AAECAw==',
  a_field_of_tomorrow: { nested: [1, null] },
};
const HANDOFF = { params: FROM_P, notes: { prompt_token_ids: [5, 6] } };

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
  completions: { ...CLIENT.completions, stream: false },
  chat: { ...CLIENT.chat, stream: false },
  generate: { ...CLIENT.generate, stream: false },
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

it('waits for P, whose answer may be all, and has a D take the KV also of a client that has gone', () => {
  expect(connector.contract).toEqual({
    order: 'serial',
    decoder: 'deferred',
    prefillMayAnswer: true,
    leaseMs: 60_000,
    cancellation: serialPlan({ prefilling: 'await_answer', gap: 'decode_and_cancel', transferring: 'finish' }),
  });
});

describe.each(CASES)('the legs of $api, stream: $stream', ({ api, more, stream }) => {
  const request = inferenceRequest(api, { ...CLIENT[api], disaggregated_params: { of: 'the client' }, ...more });

  it('P gets the body of the client with its limits, whole, as a context', () => {
    const leg = connector.prefillLeg(request);
    expect(leg.body).toEqual({
      ...PREFILL[api],
      disaggregated_params: { request_type: 'context_only', disagg_request_id: expect.any(BigInt) },
    });
    expect(leg).toMatchObject({ api, stream: false, isLeg: true });
  });

  it('D gets what P has said, digit for digit, and the tokens of the prompt', () => {
    const leg = connector.decodeLeg(request, HANDOFF);
    const prompt = { completions: { prompt: [5, 6] }, chat: { prompt_token_ids: [5, 6] }, generate: {} }[api];
    expect(leg.body).toEqual({
      ...DECODE[api],
      ...more,
      ...prompt,
      disaggregated_params: { ...FROM_P, request_type: 'generation_only' },
    });
    expect(leg).toMatchObject({ api, stream, isLeg: true });
  });

  it('D keeps the prompt when P does not tell its tokens', () => {
    const handoff = { params: FROM_P, notes: { prompt_token_ids: null } };
    expect(connector.decodeLeg(request, handoff).body).toEqual({
      ...DECODE[api],
      ...more,
      disaggregated_params: { ...FROM_P, request_type: 'generation_only' },
    });
  });
});

it('has an id of 63 bits of its own for each leg', () => {
  const ids = new Set<unknown>();
  for (let i = 0; i < 200; i++) {
    const { body } = connector.prefillLeg(inferenceRequest('chat', CLIENT.chat));
    const { disagg_request_id: id } = body['disaggregated_params'] as Record<string, unknown>;
    expect(id).toBeGreaterThanOrEqual(2n ** 62n);
    expect(id).toBeLessThan(2n ** 63n);
    ids.add(id);
  }
  expect(ids.size).toBe(200);
});

describe('handoffOf', () => {
  const answerOf = (choice: JsonObject): JsonObject => ({ choices: [choice], prompt_token_ids: [5, 6] });

  it.each(['length', 'not_finished', null])('is what P has said, when it ended by %j', (finish_reason) => {
    const answer = answerOf({ index: 0, finish_reason, disaggregated_params: FROM_P });
    expect(connector.handoffOf(answer)).toEqual(HANDOFF);
    expect(connector.handoffOf(answer)?.params).toBe(FROM_P);
  });

  it.each(['stop', 'tool_calls'])('is none when the answer ended by %j', (finish_reason) => {
    expect(connector.handoffOf(answerOf({ finish_reason, disaggregated_params: null }))).toBeUndefined();
  });

  it.each([
    ['no choice', { choices: [] }],
    ['two choices', { choices: [{ finish_reason: 'length' }, { finish_reason: 'length' }] }],
    ['no params', answerOf({ finish_reason: 'length' })],
    ['no ctx_request_id', answerOf({ finish_reason: 'length', disaggregated_params: { ctx_request_id: null } })],
  ])('refuses an answer with %s', (_what, answer) => {
    expect(() => connector.handoffOf(answer)).toThrow(
      expect.objectContaining({ status: 502, code: 'bad_upstream_answer' }),
    );
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
    expect(leg?.body).toEqual({
      messages: [{ role: 'user', content: 'x' }],
      max_tokens: 1,
      max_completion_tokens: 1,
      n: 1,
      own: [null],
      stream: false,
      prompt_token_ids: [5, 6],
      disaggregated_params: { ...FROM_P, request_type: 'generation_only' },
    });
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
