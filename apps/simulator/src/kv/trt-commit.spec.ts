import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { answerTo } from '../engine/answer-tokens.js';
import { tokenize } from '../engine/vocabulary.js';
import { objectOf, type JsonObject } from '../json.js';
import { at, eventually, Simulated, type Answered } from '../testing/simulated.js';

const prompt = 'A prompt that is committed and taken.';
const ids = tokenize(prompt);
const right = answerTo(ids, { maxTokens: 6 });
const DISAGG_ID = 4_611_686_018_427_387_905n;

describe('the commit of TensorRT-LLM', () => {
  let context: Simulated;
  let generation: Simulated;
  const start = async (...args: string[]): Promise<void> => {
    context = await Simulated.start('--dialect', 'trtllm', '--kv', 'trtllm', ...args);
    generation = await Simulated.start('--dialect', 'trtllm', '--kv', 'trtllm', ...args);
  };
  beforeEach(() => start());
  afterEach(() => Promise.all([context.close(), generation.close()]));
  const restart = async (...args: string[]): Promise<void> => {
    await Promise.all([context.close(), generation.close()]);
    await start(...args);
  };

  const askContext = (more: JsonObject = {}, signal?: AbortSignal): Promise<Answered> => {
    const disaggregated_params = { request_type: 'context_only', disagg_request_id: DISAGG_ID };
    return context.post('/v1/completions', { prompt, max_tokens: 6, disaggregated_params, ...more }, {}, signal);
  };
  const paramsOf = ({ json }: Answered): JsonObject => objectOf(at(json, 'choices.0.disaggregated_params')) ?? {};
  const generate = (params: JsonObject, more: JsonObject = {}): Promise<Answered> =>
    generation.post('/v1/completions', {
      prompt: ids,
      max_tokens: 6,
      disaggregated_params: { ...params, request_type: 'generation_only' },
      ...more,
    });

  it('answers with what the generation needs and holds the KV', async () => {
    const answer = await askContext({ stream: false });
    expect(answer.json).toMatchObject({
      choices: [{ index: 0, finish_reason: 'length' }],
      prompt_token_ids: ids,
      usage: { prompt_tokens: ids.length, completion_tokens: 1 },
    });
    const params = paramsOf(answer);
    expect(params).toMatchObject({
      request_type: 'context_only',
      first_gen_tokens: right.ids.slice(0, 1),
      disagg_request_id: DISAGG_ID,
      ctx_request_id: expect.any(BigInt),
      encoded_opaque_state: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/),
    });
    expect(params['ctx_request_id']).toBeGreaterThan(2n ** 62n);
    expect(params['ctx_request_id']).not.toBe(DISAGG_ID);
    expect(context.held).toMatchObject([{ state: 'handoff' }]);
  });

  it('goes on behind the first token, which is answered too, and frees', async () => {
    const { json } = await generate(paramsOf(await askContext()));
    expect(json).toMatchObject({
      choices: [{ text: right.text, finish_reason: 'length' }],
      usage: { completion_tokens: 6, prompt_tokens_details: { cached_tokens: ids.length } },
    });
    expect([context.held, generation.held, context.freedBy('taken')]).toEqual([[], [], 1]);
  });

  it('streams the same', async () => {
    const { chunks, events } = await generate(paramsOf(await askContext()), { stream: true });
    expect(chunks.map((chunk) => at(chunk, 'choices.0.text')).join('')).toBe(right.text);
    expect(events.at(-1)).toBe('[DONE]');
  });

  it('chats: the generation takes the ids of the context', async () => {
    const messages = [{ role: 'user', content: 'hi' }];
    const disaggregated_params = { request_type: 'context_only' };
    const path = '/v1/chat/completions';
    const whole = await generation.post(path, { messages, max_completion_tokens: 4 });
    const answer = await context.post(path, { messages, max_completion_tokens: 4, disaggregated_params });
    const { json } = await generation.post(path, {
      messages: [{ role: 'user', content: 'not looked at' }],
      prompt_token_ids: answer.json['prompt_token_ids'],
      max_completion_tokens: 4,
      disaggregated_params: { ...paramsOf(answer), request_type: 'generation_only' },
    });
    expect(at(json, 'choices.0.message.content')).toBe(at(whole.json, 'choices.0.message.content'));
  });

  it.each([
    ['another id', { ctx_request_id: 4n }],
    ['an id that a double has rounded', { ctx_request_id: Number(DISAGG_ID) }],
    ['no id', { ctx_request_id: null }],
    ['no first token', { first_gen_tokens: null }],
    ['no state', { encoded_opaque_state: 'xx' }],
  ])('fails with %s and leaves the KV where it is', async (_what, change) => {
    const params = { ...paramsOf(await askContext()), ...change };
    expect(await generate(params)).toMatchObject({ status: 500, json: { object: 'error' } });
    expect(context.held).toHaveLength(1);
  });

  it('gives KV once', async () => {
    const params = paramsOf(await askContext());
    await generate(params);
    expect((await generate(params)).status).toBe(500);
    expect(context.simulator.engine.kv?.counts).toMatchObject({ taken: 1, unknownRequests: 1 });
  });

  it('hands nothing over when the first token ends the answer', async () => {
    const answer = await askContext({ prompt: 'end <eos:0> here' });
    expect(answer.json).toMatchObject({ choices: [{ finish_reason: 'stop', disaggregated_params: null }] });
    expect(context.held).toEqual([]);
  });

  it('keeps what a limit of one token has ended', async () => {
    const answer = await askContext({ max_tokens: 1 });
    expect(answer.json).toMatchObject({ choices: [{ finish_reason: 'length', disaggregated_params: {} }] });
    expect(context.held).toHaveLength(1);
  });

  it('has committed KV until the timeout, whoever leaves', async () => {
    await restart('--kv-lease-ms', '60');
    await askContext();
    expect(context.held).toHaveLength(1);
    await eventually(() => context.freedBy('kv_transfer_timeout') === 1);
    expect(context.held).toEqual([]);
  });

  it('frees at once what was not committed', async () => {
    await context.faults({ kind: 'hang', at: 'prefill' });
    const leaves = new AbortController();
    const gone = askContext({}, leaves.signal).catch(() => undefined);
    await eventually(() => context.held.length === 1);
    leaves.abort();
    await gone;
    await eventually(() => context.held.length === 0);
    expect(context.freedBy('kv_transfer_timeout')).toBe(0);
  });

  it('has one answer for one context', async () => {
    expect((await askContext({ n: 2 })).status).toBe(400);
    expect((await askContext({ prompt: ['a', 'b'] })).status).toBe(400);
  });

  it.each([
    [{ kind: 'null_params' }, null],
    [{ kind: 'missing_first_token' }, { first_gen_tokens: null }],
    [{ kind: 'drop_param_keys', keys: ['first_gen_tokens', 'ctx_request_id'] }, { request_type: 'context_only' }],
    [{ kind: 'extra_params', params: { of_tomorrow: 1 } }, { of_tomorrow: 1 }],
  ] as const)('tells less or more when told to: %j', async (fault, expected) => {
    await context.faults(fault);
    const params: unknown = at((await askContext()).json, 'choices.0.disaggregated_params');
    if (expected === null) expect(params).toBeNull();
    else expect(params).toMatchObject(expected);
  });
});
